# SPDX-License-Identifier: Apache-2.0
"""The server's page in headless Chromium: a conversation, thinking that is folded, stopping, markdown, dark and light.

    page.py PROGRAM MODEL FOLDER      FOLDER gets the screenshots
"""
import json
import pathlib
import sys

from chromium import chromium
from serving import run, serving

PROGRAM, MODEL, FOLDER = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
MARKDOWN = '''# A **title**
Some `code`, *words* and a [link](https://example.org/a) or [none](javascript:alert(1)).
And <img src=x onerror="window.forged = 1"> is text.

- one
- two
1. first

> said
```c
int main(void) { return 0; } /* <b> */
```
the end'''


def idle(page):
    page.until("document.getElementById('send').textContent === 'Send'")


def last(page, what):
    return page.js(f"[...document.querySelectorAll('.assistant')].at(-1).querySelector({json.dumps(what)})?.textContent")


def ask(page, text):
    page.js("document.getElementById('text').focus()")
    page.type(text)
    page.key('Enter')


def set_field(page, name, value):
    page.js(f"document.getElementById({json.dumps(name)}).value = {json.dumps(value)}")


def conversation(s, page):
    page.until("document.getElementById('name').textContent === 'krill.remora'")
    set_field(page, 'temperature', '0')
    set_field(page, 'most', '60')
    ask(page, 'Once upon a time there was a little cat.')
    idle(page)
    said = last(page, '.assistant > div')
    assert len(said) > 40 and '60 tokens' in last(page, '.note') and 'cut at the most tokens' in last(page, '.note'), said
    ask(page, 'And then?')
    idle(page)
    roles = page.js('turns.map(t => t.role)')
    assert roles == ['user', 'assistant'] * 2 and page.js('turns[1].content').split() == said.split()
    kept, of = map(int, last(page, '.note').split('· ')[1].split(', ')[1].removesuffix(' kept').split(' of '))
    assert 0 < kept < of
    page.picture(FOLDER / 'server-light.png')


def thinking(s, page):
    set_field(page, 'think', 'on')
    ask(page, 'Where do remoras live?')
    idle(page)
    details = "[...document.querySelectorAll('details.think')].at(-1)"
    assert page.js(f'!{details}.hidden && !{details}.open'), 'it is folded'
    assert len(last(page, 'details div')) > 20
    page.js(f"{details}.querySelector('summary').click()")
    assert page.js(f'{details}.open')
    page.js("document.querySelector('main').scrollTop = 1e6")
    page.scheme('dark')
    page.until("document.documentElement.dataset.theme === 'dark'")
    page.picture(FOLDER / 'server-dark.png')
    set_field(page, 'think', '')


def dark_and_light(s, page):
    back = "getComputedStyle(document.body).backgroundColor"
    page.scheme('light')
    page.until("document.documentElement.dataset.theme === 'light'")
    light = page.js(back)
    page.click('#theme')
    assert page.js("document.documentElement.dataset.theme") == 'dark' and page.js(back) != light
    page.click('#theme')
    assert page.js(back) == light


def stopping(s, page):
    set_field(page, 'most', '100000')
    for stop in (lambda: page.click('#send')), (lambda: page.key('Escape')):
        n = page.js("document.querySelectorAll('.assistant').length")
        ask(page, 'The longest story of all')
        page.until(f"document.querySelectorAll('.assistant').length > {n} && [...document.querySelectorAll('.assistant > div')].some(d => d.closest('.waiting') && d.textContent.length > 20)")
        assert page.js("document.getElementById('send').textContent") == 'Stop' and s.health()['running'] == 1
        stop()
        idle(page)
        s.until(lambda h: h['running'] == 0)
        assert last(page, '.note') == 'stopped' and page.js("turns.at(-1).role") == 'assistant'
    page.click('#again')
    ask(page, 'The longest story of all')
    page.until("document.querySelector('.waiting > div').textContent.length > 20")
    page.click('#again')
    idle(page)
    assert page.js("turns.length + document.querySelectorAll('.turn').length") == 0


def markdown(s, page):
    page.js(f"{{ const box = show_answer(); markdown(box.said, {json.dumps(MARKDOWN)}); }}")
    kinds = page.js("[...document.querySelector('.assistant > div').children].map(e => e.nodeName)")
    assert kinds == ['H2', 'P', 'UL', 'OL', 'BLOCKQUOTE', 'DIV', 'P'], kinds
    assert page.js("document.querySelectorAll('.assistant a').length") == 1
    assert page.js("document.querySelector('.assistant a').href") == 'https://example.org/a'
    assert page.js("document.querySelector('.assistant pre code').textContent") == 'int main(void) { return 0; } /* <b> */'
    assert page.js("document.querySelector('.assistant strong').textContent") == 'title'
    assert page.js("document.querySelectorAll('.assistant img').length") == 0 and page.js('window.forged === undefined')
    page.picture(FOLDER / 'server-markdown.png')
    page.click('#again')


def refusals(s, page):
    set_field(page, 'most', '-1')
    ask(page, 'a')
    idle(page)
    assert 'max_tokens' in last(page, '.error') and page.js('turns.length') == 0
    assert [p['entry']['source'] for p in page.problems] == ['network'], page.problems  # the browser's own line about the 400
    page.problems.clear()
    set_field(page, 'most', '60')


def only_its_own_script(s, page):
    page.js("{ const e = document.createElement('script'); e.textContent = 'window.forged = 1'; document.body.append(e); }")
    assert page.js('window.forged === undefined')
    assert [p['entry']['source'] for p in page.problems] in ([], ['security']), page.problems
    page.problems.clear()


with serving(PROGRAM, MODEL, '--format', 'deepseek-v3.1') as server, chromium(server.url + '/') as tab:
    run([conversation, thinking, dark_and_light, stopping, markdown, refusals, only_its_own_script], server, tab)
