//! Values on PostgreSQL's wire: what the server inferred decides how ours are written.

use std::error::Error as StdError;

use bytes::{BufMut, BytesMut};
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::Param;
use crate::value::ValueRef;

type Failure = Box<dyn StdError + Sync + Send>;

/// A parameter, written as whatever type the server wants it to be.
#[derive(Debug)]
pub(super) struct Bound<'a>(pub(super) Param<'a>);

/// Whether a parameter can be written as a type.
pub(super) fn fits(param: &Param<'_>, wanted: &Type) -> bool {
    match param {
        Param::Null => true,
        Param::Int(_) => matches!(*wanted, Type::INT2 | Type::INT4 | Type::INT8 | Type::NUMERIC | Type::BOOL | Type::OID),
        Param::Text(_) => matches!(*wanted, Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN),
        Param::Bytes(bytes) => *wanted == Type::BYTEA || (*wanted == Type::UUID && bytes.len() == 16),
        Param::Id(_) => matches!(*wanted, Type::UUID | Type::BYTEA),
    }
}

/// The type to declare for a parameter that the server cannot infer.
pub(super) fn hint(param: &Param<'_>) -> Type {
    match param {
        Param::Int(_) => Type::INT8,
        Param::Null | Param::Text(_) => Type::TEXT,
        Param::Bytes(_) => Type::BYTEA,
        Param::Id(_) => Type::UUID,
    }
}

impl ToSql for Bound<'_> {
    fn to_sql(&self, wanted: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        if !fits(&self.0, wanted) {
            return Err(format!("the statement wants the type {wanted} here").into());
        }
        match self.0 {
            Param::Null => return Ok(IsNull::Yes),
            Param::Int(int) => write_int(int, wanted, out)?,
            Param::Text(text) => out.put_slice(text.as_bytes()),
            Param::Bytes(bytes) => out.put_slice(bytes),
            Param::Id(id) => out.put_slice(&id),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn write_int(int: i64, wanted: &Type, out: &mut BytesMut) -> Result<(), Failure> {
    let too_large = |_| format!("the integer does not fit into {wanted}");
    match *wanted {
        Type::INT2 => out.put_i16(int.try_into().map_err(too_large)?),
        Type::INT4 => out.put_i32(int.try_into().map_err(too_large)?),
        Type::OID => out.put_u32(int.try_into().map_err(too_large)?),
        Type::BOOL => out.put_u8(u8::from(int != 0)),
        Type::NUMERIC => write_numeric(int, out),
        _ => out.put_i64(int),
    }
    Ok(())
}

/// A numeric is its digits to the base 10,000, the most significant first.
fn write_numeric(int: i64, out: &mut BytesMut) {
    let mut digits = Vec::new();
    let mut rest = int.unsigned_abs();
    while rest > 0 {
        digits.push((rest % 10_000) as i16);
        rest /= 10_000;
    }
    out.put_i16(digits.len() as i16);
    out.put_i16(digits.len() as i16 - 1);
    out.put_u16(if int < 0 { NEGATIVE } else { 0 });
    out.put_i16(0);
    digits.iter().rev().for_each(|digit| out.put_i16(*digit));
}

const NEGATIVE: u16 = 0x4000;

/// A value of a row, in our terms.
pub(super) struct Cell<'a>(pub(super) ValueRef<'a>);

impl<'a> FromSql<'a> for Cell<'a> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        Ok(Cell(match *kind {
            Type::INT8 => ValueRef::Int(i64::from_be_bytes(raw.try_into()?)),
            Type::INT4 => ValueRef::Int(i32::from_be_bytes(raw.try_into()?).into()),
            Type::INT2 => ValueRef::Int(i16::from_be_bytes(raw.try_into()?).into()),
            Type::OID => ValueRef::Int(u32::from_be_bytes(raw.try_into()?).into()),
            Type::BOOL => ValueRef::Int(i64::from(raw != [0])),
            Type::NUMERIC => ValueRef::Int(read_numeric(raw)?),
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => ValueRef::Text(str::from_utf8(raw)?),
            Type::BYTEA | Type::UUID => ValueRef::Bytes(raw),
            _ => return Err(format!("the column has the type {kind}, which is none of integer, text and bytes").into()),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Failure> {
        Ok(Cell(ValueRef::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Reads a numeric without a fraction: what `SUM` over integers makes.
fn read_numeric(raw: &[u8]) -> Result<i64, Failure> {
    let mut words = raw.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let mut header = || words.next().ok_or("the number is cut short");
    let (count, weight, sign, _scale) = (header()?, header()?, header()?, header()?);
    let weight = i32::from(weight as i16);
    if sign != 0 && sign != NEGATIVE {
        return Err("the number is not finite".into());
    }
    let mut value: i128 = 0;
    for place in 0..=weight.max(-1) {
        let digit = if place < i32::from(count) { header()? } else { 0 };
        value = value.checked_mul(10_000).and_then(|value| value.checked_add(i128::from(digit))).ok_or("the number is too large")?;
    }
    if words.any(|digit| digit != 0) {
        return Err("the number has a fraction".into());
    }
    let value = if sign == NEGATIVE { -value } else { value };
    i64::try_from(value).map_err(|_| "the number does not fit into 64 bits".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numeric_comes_back_as_it_was_written() {
        for int in [0, 1, -1, 9_999, 10_000, -10_000, 123_456_789, 1 << 53, i64::MAX, i64::MIN] {
            let mut out = BytesMut::new();
            write_numeric(int, &mut out);
            assert_eq!(read_numeric(&out).ok(), Some(int), "{int}");
        }
    }

    #[test]
    fn a_fraction_is_refused() {
        // 1.5 with weight 0: the digits 1 and 5000.
        let raw = [0, 2, 0, 0, 0, 0, 0, 1, 0, 1, 0x13, 0x88];
        assert!(read_numeric(&raw).is_err());
    }
}
