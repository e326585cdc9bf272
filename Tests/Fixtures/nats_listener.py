"""Listens on all subjects of a NATS server for tests, by the protocol itself. Prints "ready", then a JSON line per message; with a second argument
it first makes a JetStream stream of that name for riposte.>, with a third one for messages of so many bytes at most, and prints the numbers of acknowledged messages too, as they come on the wire."""
import json, socket, sys

connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
stream = connection.makefile("rb")
stream.readline()
connection.sendall(b'CONNECT {"verbose":false,"headers":true,"user":"riposte","pass":"hunter2"}\r\nSUB > 1\r\n')
if len(sys.argv) > 2:
    body = json.dumps({"name": sys.argv[2], "subjects": ["riposte.>"], "storage": "memory", "max_msg_size": int((sys.argv + ["-1"])[3])}).encode()
    connection.sendall(b"PUB $JS.API.STREAM.CREATE.%s _INBOX.made %d\r\n%s\r\n" % (sys.argv[2].encode(), len(body), body))
connection.sendall(b"PING\r\n")

while line := stream.readline():
    words = line.split()
    if words[0] == b"PING":
        connection.sendall(b"PONG\r\n")
    elif words[0] == b"PONG" and len(sys.argv) == 2:
        print("ready", flush=True)
    elif words[0] in (b"MSG", b"HMSG"):
        payload = stream.read(int(words[-1]) + 2)[:-2]
        head = int(words[-2]) if words[0] == b"HMSG" else 0
        message = {"subject": words[1].decode(), "headers": payload[:head].decode(), "payload": payload[head:].decode()}
        if message["subject"] == "_INBOX.made":
            print("ready" if b'"error"' not in payload else payload.decode(), flush=True)
        elif not message["subject"].startswith("$JS."):
            print(json.dumps(message), flush=True)
