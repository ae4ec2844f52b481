# SPDX-License-Identifier: Apache-2.0
"""64 connections at once ask for so many seconds, with requests of all kinds: none is lost, and neither memory nor descriptors grow.

    crowd.py PROGRAM MODEL SECONDS

The seconds say how long the crowd asks; nothing has to be done in them.
"""
import itertools
import json
import sys
import threading
import time

from serving import JSON, events, run, serving

PROGRAM, MODEL, SECONDS = sys.argv[1], sys.argv[2], float(sys.argv[3])
CONNECTIONS, LEAST = 64, 20  # requests of each connection
# What the system's allocator may hold more at the end: its pools are cut in other pieces when other requests meet, which was half a
# megabyte where nothing grows. Of a machine so busy that it answers the least, 2 MB are 1.6 kB for each request.
GROWTH_KB = 2048


def body(i, k):
    more = {'max_tokens': 8, 'seed': i * 1000 + k, 'stream': k % 2 == 0}
    if k % 5 == 0:
        return '/v1/chat/completions', {**more, 'messages': [{'role': 'user', 'content': f'Tell me of {i} cats.'}], 'logprobs': k % 3 == 0}
    if k % 7 == 0:
        return '/v1/completions', {**more, 'prompt': 'Once upon a time', 'suffix': 'the end.'}
    return '/v1/completions', {**more, 'prompt': f'Once upon a time there were {i} cats and', 'stop': 'never there'}


def is_whole(answer, how):
    if how['stream']:
        last = events(answer)[-1]
        return last['choices'][0]['finish_reason'] in ('length', 'stop')
    got = json.loads(answer)
    return got['choices'][0]['finish_reason'] in ('length', 'stop') and 0 < got['usage']['completion_tokens'] <= 8


def one_client(s, i, until, lost, counts, all_there):
    try:
        c = s.connect()
        for k in itertools.count():
            if k >= LEAST and time.monotonic() >= until:
                break
            path, how = body(i, k)
            if k % 9 == 8:  # a client that does not wait for its answer
                s.socket(path, how).close()
            c.request('POST', path, json.dumps(how), JSON)
            r = c.getresponse()
            answer = r.read()
            if r.status != 200 or not is_whole(answer, how):
                lost.append((i, k, r.status, answer[-300:]))
            counts[i] += 1
            if k == 0:
                all_there.wait()
        c.close()
    except Exception as e:
        all_there.abort()
        lost.append((i, repr(e)))


def crowd_until(s, until):
    """Returns the requests that were answered, and the most descriptors."""
    lost, counts, most = [], [0] * CONNECTIONS, []
    all_there = threading.Barrier(CONNECTIONS, lambda: most.append(s.files()))
    threads = [threading.Thread(target=one_client, args=(s, i, until, lost, counts, all_there)) for i in range(CONNECTIONS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not lost and min(counts) >= LEAST, lost[:3]
    s.until(lambda h: h['running'] == h['waiting'] == 0)
    return sum(counts), most[0]


def files_of_nobody(s):
    """The descriptors when no client is connected: what was closed is seen closed a little later."""
    counted = []
    for _ in range(200):
        s.health()
        counted.append(s.files())
    return min(counted)


def crowd():
    with serving(PROGRAM, MODEL, '--format', 'deepseek-v3.1', '--ctx', '128') as s:
        files = files_of_nobody(s)
        crowd_until(s, 0)  # all slots are full, and the allocator has what it needs
        before = s.memory()
        answered, most = crowd_until(s, time.monotonic() + SECONDS)
        after, left = s.memory(), files_of_nobody(s)
        n = s.health()
        print(f'{answered} answers in {SECONDS:g} seconds or more; {before} kB, then {after} kB')
        print(f'{n["jobs"]} requests in all, {n["gone"]} clients gone, {n["tokens"]} tokens in {n["steps"]} steps')
        print(f'{files} file descriptors before, {most} with {CONNECTIONS} connections, {left} behind them')
        assert most >= files + CONNECTIONS and left == files, (files, most, left)
        assert after - before <= GROWTH_KB, (before, after)
        assert n['tokens'] > 4 * n['steps'], 'requests are not evaluated together'


run([crowd])
