"""An SMTP server for tests that breaks off: "greeting" turns away with its first word whoever comes, "data" refuses recipients that begin with "gone" and goes away when the
text is to come. Prints its port."""
import socket, sys, threading


def serve(connection):
    if sys.argv[1] == "greeting":
        connection.sendall(b"554 5.7.1 client host is blocked\r\n")
        return connection.close()
    connection.sendall(b"220 here\r\n")
    for line in connection.makefile("rb"):
        if line.startswith(b"DATA"):
            return connection.shutdown(socket.SHUT_RDWR)
        connection.sendall(b"550 5.1.1 nobody of this name\r\n" if line.startswith(b"RCPT TO:<gone") else b"250 good\r\n")


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
