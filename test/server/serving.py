# SPDX-License-Identifier: Apache-2.0
"""A server of examples/server while tests ask it, and requests to it without a client library."""
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile

JSON = {'Content-Type': 'application/json'}


class Serving:
    def __init__(self, program, model, *options):
        self.folder = tempfile.TemporaryDirectory()
        fifo = os.path.join(self.folder.name, 'port')
        os.mkfifo(fifo)
        self.process = subprocess.Popen([program, '-m', model, '--port', '0', '--port-file', fifo, '-q', *options],
                                        stderr=subprocess.PIPE, text=True)
        with open(fifo, encoding='ascii') as f:  # waits until it listens
            self.port = int(f.read())
        self.url = f'http://127.0.0.1:{self.port}'

    def connect(self):
        return http.client.HTTPConnection('127.0.0.1', self.port)

    def ask(self, method, path, body=None, headers=JSON):
        """The status of HTTP and the bytes of the answer."""
        with contextlib.closing(self.connect()) as c:
            c.request(method, path, json.dumps(body) if isinstance(body, (dict, list)) else body, headers)
            r = c.getresponse()
            return r.status, r.read()

    def post(self, path, body, headers=JSON):
        status, got = self.ask('POST', path, body, headers)
        return status, json.loads(got)

    def health(self):
        return json.loads(self.ask('GET', '/health')[1])

    def until(self, what):
        """Ask how it is until that is so; the test's own limit ends what never is."""
        while not what(self.health()):
            pass

    def socket(self, path, body, room=None):
        """A connection whose answer nobody has read; the kernel keeps no more than some `room` bytes of it."""
        s = socket.socket()
        if room is not None:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        s.connect(('127.0.0.1', self.port))
        data = json.dumps(body).encode()
        s.sendall(f'POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n'.encode() + data)
        return s

    def memory(self):
        with open(f'/proc/{self.process.pid}/status', encoding='ascii') as f:
            return next(int(line.split()[1]) for line in f if line.startswith('VmRSS'))  # kB

    def files(self):
        """File descriptors that it has open."""
        return len(os.listdir(f'/proc/{self.process.pid}/fd'))

    def cpu(self):
        """Seconds of all processors that its threads have used."""
        with open(f'/proc/{self.process.pid}/stat', encoding='ascii') as f:
            user, system = f.read().rpartition(')')[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf('SC_CLK_TCK')

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def end(self):
        code, said = self.process.wait(), self.process.stderr.read()
        self.process.stderr.close()
        self.folder.cleanup()
        return code, said


@contextlib.contextmanager
def serving(*arguments):
    s = Serving(*arguments)
    try:
        yield s
        s.signal()
        ended = s.end()
        assert ended == (0, ''), ended
    finally:
        if s.process.poll() is None:
            s.process.kill()


def events(answer):
    """Of a stream: its events, but for the last one."""
    rows = answer.decode().split('\n\n')
    assert rows[-2:] == ['data: [DONE]', ''], rows[-3:]
    assert all(row.startswith('data: ') for row in rows[:-1])
    return [json.loads(row[6:]) for row in rows[:-2]]


def run(tests, *arguments):
    for test in tests:
        test(*arguments)
        print('ok', test.__name__, flush=True)
