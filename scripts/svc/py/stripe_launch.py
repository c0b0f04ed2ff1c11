"""Serves seahaven-stripe-world over HTTP on loopback: every /worlds/NAME below it is a private account, made on first use."""

import seahaven.http
from seahaven_stripe_world import world
from seahaven_stripe_world.http_api import handle

seahaven.http.main(world, handle)
