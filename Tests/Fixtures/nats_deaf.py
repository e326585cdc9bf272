"""A NATS server for tests that greets, answers the first PING and then reads no more. Prints its port."""
import socket, threading, time


def serve(connection):
    connection.sendall(b'INFO {"server_id":"x","version":"2.9.0","headers":true,"proto":1,"max_payload":8388608}\r\n')
    heard = b""
    while b"PING\r\n" not in heard:
        heard += connection.recv(4096)
    connection.sendall(b"PONG\r\n")
    time.sleep(3600)


listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
listener.bind(("127.0.0.1", 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
