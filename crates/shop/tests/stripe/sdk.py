"""Stripe's own library, asked over standard input: one JSON object a line, one answer a line."""

import json
import sys
import types

import stripe
import stripe._webhook


def sign(ask):
    return {"header": stripe.WebhookSignature.generate_signature_header(ask["body"], ask["secret"], ask["seconds"])}


def judge(ask):
    # The library reads the wall clock; a test has a clock of its own.
    stripe._webhook.time = types.SimpleNamespace(time=lambda: ask["seconds"])
    try:
        event = stripe.Webhook.construct_event(ask["body"], ask["header"], ask["secret"])
    except stripe.SignatureVerificationError as error:
        return {"refused": str(error)}
    return {"id": event.id, "type": event.type}


for line in sys.stdin:
    ask = json.loads(line)
    print(json.dumps({"sign": sign, "judge": judge}[ask["do"]](ask)), flush=True)
