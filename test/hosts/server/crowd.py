# SPDX-License-Identifier: Apache-2.0
"""64 connections at once, each with so many requests of all kinds: none is lost, and neither memory nor descriptors grow.

    crowd.py PROGRAM MODEL REQUESTS
"""
import json
import sys
import threading

from serving import JSON, events, run, serving

PROGRAM, MODEL, REQUESTS = sys.argv[1], sys.argv[2], int(sys.argv[3])
CONNECTIONS, GROWTH_KB = 64, 4096


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


def one_client(s, i, lost, counts, all_there):
    try:
        c = s.connect()
        for k in range(REQUESTS):
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


def round_of_all(s):
    lost, counts, most = [], [0] * CONNECTIONS, []
    all_there = threading.Barrier(CONNECTIONS, lambda: most.append(s.files()))
    threads = [threading.Thread(target=one_client, args=(s, i, lost, counts, all_there)) for i in range(CONNECTIONS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not lost and counts == [REQUESTS] * CONNECTIONS, lost[:3]
    s.until(lambda h: h['running'] == h['waiting'] == 0)
    return most[0]


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
        round_of_all(s)  # all slots are full, and the allocator has what it needs
        before = s.memory()
        most = round_of_all(s)
        after, left = s.memory(), files_of_nobody(s)
        n = s.health()
        print(f'{n["jobs"]} requests, {n["gone"]} clients gone, {n["tokens"]} tokens in {n["steps"]} steps; {before} kB, then {after} kB')
        print(f'{files} file descriptors before, {most} with {CONNECTIONS} connections, {left} behind them')
        assert most >= files + CONNECTIONS and left == files, (files, most, left)
        assert after - before <= GROWTH_KB, (before, after)
        assert n['tokens'] > 4 * n['steps'], 'requests are not evaluated together'


run([crowd])
