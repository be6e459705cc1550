"""Acting on SIGTERM and Ctrl-C at once, also in the middle of a compiled epoch."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def watching(act: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Call `act` from a thread of its own as soon as SIGTERM or SIGINT arrives; only in the main thread.

    Python runs a signal's handler when the main thread is next in Python code, which may be a whole epoch later.
    Its C part however writes the signal's number to the wake-up descriptor at once, and a thread can read that.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def watch() -> None:
        while received := reader.recv(1):
            if received[0] in SIGNALS:
                act(signal.Signals(received[0]))

    handlers = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
    descriptor = signal.set_wakeup_fd(writer.fileno())
    watcher = threading.Thread(target=watch, name="signal-watcher", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(descriptor)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        writer.close()
        watcher.join()
        reader.close()
