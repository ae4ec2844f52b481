# SPDX-License-Identifier: Apache-2.0
# Calls of tools under the constraint of a conversation, in every chat format that has them:
#     calls.py DRIVER random            a random model's calls are read back, and their arguments are valid for jsonschema
#     calls.py DRIVER recorded FOLDER   recorded answers of the families are allowed, and those that are broken are not
import glob
import json
import os
import subprocess
import sys

QUESTION = [{'role': 'user', 'content': 'json?'}]


class Driver:
    def __init__(self, path):
        self.p = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def say(self, line):
        self.p.stdin.write(line.encode() + b'\n')
        self.p.stdin.flush()

    def ask(self, line):
        self.say(line)
        return self.p.stdout.readline().decode().rstrip('\n')

    def chat(self, chat_format, tools, **more):
        self.say('F ' + chat_format)
        got = self.ask('C ' + json.dumps({'messages': QUESTION, 'tools': tools, **more}, ensure_ascii=False))
        assert got == 'C', (chat_format, got)

    def close(self):
        self.p.stdin.close()
        assert self.p.wait() == 0, 'memory was left'


def tool(name, parameters=None):
    function = {'name': name, 'description': 'd'}
    if parameters is not None:
        function['parameters'] = parameters
    return {'type': 'function', 'function': function}


# ---- recorded answers ----

# The chat format of a file, that of its answers which begin in reasoning, and the text that opens reasoning where the model does.
RECORDED = {
    'deepseek-v3': ('deepseek-v3-0324', 'deepseek-r1', ''),
    'deepseek-v3.1': ('deepseek-v3.1', 'deepseek-v3.1', ''),
    'deepseek-v3.2': ('deepseek-v3.2', 'deepseek-v3.2', ''),
    'deepseek-v4': ('deepseek-v4', 'deepseek-v4', ''),
    'deepseek-v4.1': ('deepseek-v4.1', 'deepseek-v4.1', ''),
    'glm-4.7-flash': ('glm-4.7-flash', 'glm-4.7-flash', ''),
    'kimi-k2': ('kimi-k2', 'kimi-k2-thinking', '<think>'),
    'llama3.1': ('llama-3.1', None, ''),
    'qwen3': ('qwen3', 'qwen3', '<think>'),
}
# What the files' own cases do not say: the tools of those that declare some.
TOOLS = [tool('get_weather', {'type': 'object', 'properties': {
    'town': {'type': 'string'}, 'days': {'type': 'integer'}, 'opts': {'type': 'object'}, 'tags': {'type': 'array'},
    'ok': {'type': 'boolean'}, 'x': {'type': 'number'}}}), tool('now')]
# What is read, and must not be written: why.
BROKEN = {
    'text_after_call': 'text behind the calls',
    'tool_text_after': 'text behind the calls',
    'unknown_tool': 'a tool that is not declared',
    'tool_unknown_name': 'a tool that is not declared',
    'tool_bad_json_argument': 'an argument against its schema',
    'tool_duplicate_argument': 'an argument twice',
    'tool_inside_thinking': 'calls in reasoning that is not closed',
    'reasoning_model_repeats_open': 'the opening tag twice',
    'thinking_opens_again': 'the opening tag twice',
    'thinking_two_closes': 'the closing tag twice',
    'think_tag_in_answer_mode': 'tags of reasoning in the answer',
    'no_tools_declared': 'markers of calls without tools',
    'tool_markup_without_tools': 'markers of calls without tools',
    'near_miss_marker': "a marker's token in the answer",
    'tool_argument_with_angle': "a marker's token in an argument",
}
WHOLE = {'truncated_in_marker', 'length'}  # cut in text, which may end anywhere


def check_recorded(d, family, case):
    o = case['options']
    thinks = bool(o.get('think') or o.get('starts_in_reasoning'))
    chat_format = RECORDED[family][thinks]
    tools = o['tools'] if 'tools' in o else TOOLS if o.get('tools_declared') else []
    more = {'tool_choice': 'required'} if o.get('required') else {}
    if chat_format not in ('deepseek-v3-0324', 'deepseek-r1', 'kimi-k2', 'kimi-k2-thinking', 'llama-3.1'):
        more['chat_template_kwargs'] = {'thinking': thinks}
    d.chat(chat_format, tools, **more)
    got = d.ask('T ' + json.dumps((RECORDED[family][2] if thinks else '') + case['text']))
    cut = (o.get('length') or o.get('truncated')) and case['name'] not in WHOLE
    broken = case['name'] in BROKEN and (family, case['name']) != ('llama3.1', 'no_tools_declared')  # Llama's markers are text
    want = 'T 00' if broken else 'T 22' if cut else 'T 11'
    return None if got == want else '%s %s: %s, wanted %s: %s' % (family, case['name'], got, want, case['text'][-100:])


def recorded(d, folder):
    files = glob.glob(os.path.join(folder, 'parse-*.jsonl'))
    assert len(files) == len(RECORDED)
    n = 0
    wrong = []
    for name in sorted(files):
        family = os.path.basename(name)[len('parse-'):-len('.jsonl')]
        with open(name, encoding='utf-8') as f:
            for line in f:
                wrong.append(check_recorded(d, family, json.loads(line)))
                n += 1
    wrong = [w for w in wrong if w]
    print('\n'.join(wrong))
    print('%d answers, %d wrong' % (n, len(wrong)))
    assert not wrong and n >= 134


# ---- random models ----

# Which formats have calls, and whether they can think, as a request asks for it.
FORMATS = {
    'deepseek-v2.5': False, 'deepseek-v3': False, 'deepseek-v3-0324': False, 'deepseek-r1': False, 'deepseek-r1-0528': False,
    'deepseek-v3.1': True, 'deepseek-v3.2-exp': True, 'deepseek-v3.2': True, 'deepseek-v4': True, 'deepseek-v4-0731': True,
    'deepseek-v4.1': True, 'kimi-k2': False, 'kimi-k2-thinking': False, 'glm-4.7-flash': True, 'qwen2.5': False, 'qwq': False,
    'qwen3': True, 'llama-3.1': False,
}
ALWAYS_THINK = {'deepseek-r1', 'deepseek-r1-0528', 'kimi-k2-thinking', 'qwq'}


def closed(properties, required=(), **more):
    return {'type': 'object', 'properties': properties, 'required': list(required), 'additionalProperties': False, **more}


SHORT = {'type': 'string', 'maxLength': 5}
CALLABLE = [
    tool('now'),
    tool('look', closed({'town': SHORT, 'days': {'type': 'integer', 'minimum': 1, 'maximum': 30}, 'unit': {'enum': ['c', 'f', 7]},
                         'at': {'type': 'array', 'maxItems': 2, 'items': {'type': 'boolean'}}}, ['town'])),
    tool('both', closed({'v': {'type': ['string', 'integer', 'null'], 'maxLength': 4}, 'w': {'anyOf': [SHORT, {'type': 'number'}]},
                         'c': {'const': 'true'}, 'e': {'enum': ['1', 1, None, 'null', [1], {'a': 'b'}]}}, ['v', 'e'])),
    tool('deep', closed({'o': closed({'p': closed({'q': {'$ref': '#/$defs/few'}}, ['q'])}, ['p'])}, ['o'],
                        **{'$defs': {'few': {'type': 'array', 'minItems': 1, 'maxItems': 3, 'items': SHORT, 'uniqueItems': False}}})),
    tool('text', closed({'p': {'type': 'string', 'pattern': '^[<>/a｜]{1,6}$'}, 'd': {'type': 'string', 'format': 'date'},
                         'm': {'type': 'integer', 'multipleOf': 7, 'minimum': -50, 'maximum': 50}}, ['p', 'd'])),
    tool('open', {'type': 'object', 'properties': {'k': {'type': 'integer', 'maximum': 9, 'minimum': 0}}, 'required': ['k'],
                  'additionalProperties': {'type': 'boolean'}, 'propertyNames': {'pattern': '^[a-z]{1,3}$'}, 'maxProperties': 3}),
    tool('any', {'type': 'object', 'maxProperties': 1}),
]
NO_ARGUMENTS = {'type': 'object', 'additionalProperties': False}


def validators():
    import jsonschema
    kind = jsonschema.Draft202012Validator
    schemas = {t['function']['name']: t['function'].get('parameters', NO_ARGUMENTS) for t in CALLABLE}
    return {name: kind(s, format_checker=kind.FORMAT_CHECKER) for name, s in schemas.items()}


def no_twice(pairs):
    out = dict(pairs)
    assert len(out) == len(pairs), 'a key is there twice'
    return out


def complaint(checks, got, need):
    if got['rest'] or (need and (not got['calls'] or got['content'])):
        return 'text around the calls'
    for name, arguments in got['calls']:
        if name not in checks:
            return 'the tool %s' % name
        try:
            value = json.loads(arguments, object_pairs_hook=no_twice)
        except (ValueError, AssertionError) as e:
            return '%s: %s: %s' % (name, e, arguments)
        for e in checks[name].iter_errors(value):
            return '%s: %s: %s' % (name, e.message, arguments)
    return None


def answers(d, checks, label, seeds, need, tally):
    for seed in seeds:
        got = d.ask('G %d 1900' % seed)
        if got[0] != 'G':
            tally['unfinished'] += 1
            if got != 'N ':
                tally['wrong'].append('%s, seed %d: %s' % (label, seed, got))
            continue
        parts = json.loads(got[2:])
        why = complaint(checks, parts, need)
        if why:
            tally['wrong'].append('%s, seed %d: %s' % (label, seed, why))
        for name, _ in parts['calls']:
            tally['calls'][name] = tally['calls'].get(name, 0) + 1


def random_models(d):
    checks = validators()
    wrong = []
    for chat_format, thinks in FORMATS.items():
        tally = {'wrong': [], 'calls': {}, 'unfinished': 0}
        for t in CALLABLE if chat_format not in ALWAYS_THINK else []:
            off = {'chat_template_kwargs': {'thinking': False}} if thinks else {}
            d.chat(chat_format, [t], tool_choice='required', **off)
            answers(d, checks, chat_format + ' required', range(1, 7), True, tally)
        for on in [False, True] if thinks else [None]:
            d.chat(chat_format, CALLABLE, **({} if on is None else {'chat_template_kwargs': {'thinking': on}}))
            answers(d, checks, chat_format, range(7, 27), False, tally)
        print(chat_format, tally['calls'], '%d unfinished' % tally['unfinished'])
        wrong += tally['wrong']
        # What always thinks calls by chance alone.
        if tally['unfinished'] > 6 or len(tally['calls']) < (1 if chat_format in ALWAYS_THINK else len(CALLABLE)):
            wrong.append('%s: too few calls' % chat_format)
    print('\n'.join(wrong))
    assert not wrong


def main():
    d = Driver(sys.argv[1])
    if sys.argv[2] == 'random':
        random_models(d)
    else:
        recorded(d, sys.argv[3])
    d.close()


main()
