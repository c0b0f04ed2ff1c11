//! Products, stock, carts, checkout, payments, orders.
