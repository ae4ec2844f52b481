# SPDX-License-Identifier: Apache-2.0
"""Headless Chromium over the two pipes of its debugging protocol."""
import base64
import contextlib
import json
import os
import subprocess
import tempfile


class Page:
    def __init__(self, to, of):
        self.to, self.of, self.n, self.problems, self.session = to, of, 0, [], None

    def send(self, method, **params):
        self.n += 1
        message = {'id': self.n, 'method': method, 'params': params}
        if self.session:
            message['sessionId'] = self.session
        os.write(self.to, json.dumps(message).encode() + b'\0')
        while True:
            got = json.loads(self.message())
            if got.get('id') == self.n:
                assert 'error' not in got, (method, got)
                return got['result']
            if got.get('method') in ('Runtime.exceptionThrown', 'Log.entryAdded') and got['params'].get('entry', {}).get('level') != 'verbose':
                self.problems.append(got['params'])

    def message(self):
        data = b''
        while not data.endswith(b'\0'):
            piece = os.read(self.of, 1)
            assert piece, 'Chromium has ended'
            data += piece
        return data[:-1]

    def open(self, url):
        target = self.send('Target.createTarget', url='about:blank')['targetId']
        self.session = self.send('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        for domain in 'Page', 'Runtime', 'Log':
            self.send(domain + '.enable')
        self.send('Page.navigate', url=url)

    def js(self, code):
        got = self.send('Runtime.evaluate', expression=code, awaitPromise=True, returnByValue=True)
        assert 'exceptionDetails' not in got, (code, got['exceptionDetails'])
        return got['result'].get('value')

    def until(self, code):
        """Until the expression is true, looked at with every frame; the test's own limit ends what never is."""
        self.js('new Promise(done => { const look = () => { let is = false; try { is = ' + code + '; } catch {} '
                'is ? done() : setTimeout(look, 20); }; look(); })')

    def key(self, name):
        for kind in 'keyDown', 'keyUp':
            self.send('Input.dispatchKeyEvent', type=kind, key=name, code=name, windowsVirtualKeyCode={'Enter': 13, 'Escape': 27}[name],
                      text='\r' if name == 'Enter' and kind == 'keyDown' else '')

    def type(self, text):
        self.send('Input.insertText', text=text)

    def click(self, selector):
        x, y = self.js(f'(r => [r.x + r.width / 2, r.y + r.height / 2])(document.querySelector({json.dumps(selector)}).getBoundingClientRect())')
        for kind in 'mousePressed', 'mouseReleased':
            self.send('Input.dispatchMouseEvent', type=kind, x=x, y=y, button='left', clickCount=1)

    def scheme(self, value):
        self.send('Emulation.setEmulatedMedia', features=[{'name': 'prefers-color-scheme', 'value': value}])

    def picture(self, path, selector=None):
        """Of the window, or of an element that fits in it."""
        clip = {'clip': {**self.js(f'document.querySelector({json.dumps(selector)}).getBoundingClientRect().toJSON()'), 'scale': 1}} if selector else {}
        with open(path, 'wb') as f:
            f.write(base64.b64decode(self.send('Page.captureScreenshot', format='png', **clip)['data']))


@contextlib.contextmanager
def chromium(url, width=900, height=640):
    here, its_end = os.pipe()
    its_begin, to = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        p = subprocess.Popen(
            ['bash', '-c', f'exec chromium "$@" 3<&{here} 4>&{to}', 'chromium', '--headless=new', '--no-sandbox', '--disable-gpu',
             '--disable-dev-shm-usage', '--no-first-run', '--disable-extensions', '--hide-scrollbars', '--force-device-scale-factor=1',
             f'--window-size={width},{height}', f'--user-data-dir={profile}', '--remote-debugging-pipe'],
            pass_fds=(here, to), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(here)
        os.close(to)
        page = Page(its_end, its_begin)
        try:
            page.open(url)
            page.send('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=False)
            yield page
            assert not page.problems, page.problems
            page.session = None
            page.send('Browser.close')
        finally:
            p.kill()
            p.wait()
            os.close(its_end)
            os.close(its_begin)
