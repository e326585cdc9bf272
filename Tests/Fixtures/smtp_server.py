"""A real SMTP server for tests: aiosmtpd with STARTTLS and a login. Prints its port, then a JSON line per mail.

Recipients that begin with "later" are refused for now, those with "grey" once, those with "never" for good; a mail to "full@…" is refused after its text.
"""
import asyncio, json, ssl, sys
from aiosmtpd.smtp import SMTP, AuthResult

certificate, key, security = sys.argv[1:4]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(certificate, key)


known = set()


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("later"):
            return "451 4.7.1 greylisted, come back later"
        if address.startswith("grey") and address not in known:
            known.add(address)
            return "450 4.2.0 greylisted, come back soon"
        if address.startswith("never"):
            return "550 5.1.1 nobody of this name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if envelope.rcpt_tos[0].startswith("full"):
            return "552 5.2.2 mailbox full"
        mail = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "tls": session.ssl is not None or security == "tls", "peer": session.peer[1],
                "login": session.authenticated, "text": envelope.content.decode("ascii")}
        print(json.dumps(mail), flush=True)
        return "250 Message accepted"


def authenticator(server, session, envelope, mechanism, data):
    good = (data.login, data.password) == (b"riposte", b"hunter2")
    return AuthResult(success=good, handled=good or False)


async def main():
    starts = security == "starttls"
    make = lambda: SMTP(Handler(), hostname="localhost", tls_context=context if starts else None, require_starttls=starts, authenticator=authenticator,
                        auth_require_tls=starts, auth_required=security != "none")
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0, ssl=context if security == "tls" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
