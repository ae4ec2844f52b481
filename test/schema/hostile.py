# SPDX-License-Identifier: Apache-2.0
# Hostile input: hostile.py DRIVER FOLDER. The files hostile-*.txt of the folder name what other engines were tried with, and how
# they ended; here each of these ends in a status, within the default steps and 64 MB.
import glob
import json
import os
import sys

from schema_data import Driver

MEMORY = 64 << 20
OK, LIMIT, NO_TOKEN, NOMEM = 0, -18, -13, '-3'
REFUSED = {
    'allOf_of_anyOf_12', 'depth_3000', 'empty', 'invalid', 'multipleOf_tiny', 'nested_groups_60k', 'no_root', 'pattern_backref',
    'pattern_invalid', 'props_5000_optional', 'ref_loop', 'ref_loop2', 'unbalanced', 'undefined_rule', 'unsat',
}


def nested(n, what):
    for _ in range(n):
        what = {'type': 'object', 'properties': {'a': what}}
    return what


def doubled(n, word):
    defs = {'d0': {'type': 'integer'}}
    for i in range(n):
        defs['d%d' % (i + 1)] = {word: [{'$ref': '#/$defs/d%d' % i}] * 2}
    return {'$ref': '#/$defs/d%d' % n, '$defs': defs}


def optional(n):
    return {'type': 'object', 'properties': {'p%d' % i: {'type': 'integer'} for i in range(n)}, 'additionalProperties': False}


GBNF = {
    'nested_groups_60k': lambda: 'root ::= ' + '(' * 60000 + '"a"' + ')' * 60000,
    'left_recursion': lambda: 'root ::= root "a" | "b"',
    'hidden_left_recursion': lambda: 'root ::= x root "a" | "b"\nx ::= "" | "c"',
    'nullable_star_star': lambda: 'root ::= (("a"*)*)*',
    'repeat_1e9': lambda: 'root ::= "a"{1,1000000000}',
    'repeat_nested_1e3x3': lambda: 'root ::= (("a"{1,1000}){1,1000}){1,1000}',
    'rule_chain_100k': lambda: 'root ::= r0\n' + ''.join('r%d ::= r%d\n' % (i, i + 1) for i in range(100000)) + 'r100000 ::= "a"',
    'rule_cycle': lambda: 'root ::= x | "a"\nx ::= y\ny ::= x',
    'undefined_rule': lambda: 'root ::= nothere',
    'no_root': lambda: 'x ::= "a"',
    'empty': lambda: '',
    'alternatives_50k': lambda: 'root ::= "x"' + ''.join(' | "a%d"' % i for i in range(50000)),
    'ambiguous_ss': lambda: 'root ::= s\ns ::= s s | "a"',
    'doubling': lambda: 'root ::= x40\nx0 ::= "a"\n' + ''.join('x%d ::= x%d x%d\n' % (i + 1, i, i) for i in range(40)),
}
SCHEMA = {
    'ref_loop': lambda: {'$ref': '#'},
    'ref_loop2': lambda: {'$ref': '#/$defs/a', '$defs': {'a': {'$ref': '#/$defs/b'}, 'b': {'$ref': '#/$defs/a'}}},
    'depth_400_objects': lambda: nested(400, {'type': 'integer'}),
    'enum_100k': lambda: {'enum': ['value %d' % i for i in range(100000)]},
    'min_items_1e9': lambda: {'type': 'array', 'items': {'type': 'integer'}, 'minItems': 10 ** 9},
    'max_length_1e9': lambda: {'type': 'string', 'maxLength': 10 ** 9},
    'max_length_100k': lambda: {'type': 'string', 'maxLength': 100000},
    'props_5000_optional': lambda: optional(5000),
    'props_500_optional': lambda: optional(500),
    'allOf_of_anyOf_12': lambda: {'allOf': [{'anyOf': [{'required': ['k%d_%d' % (i, k)]} for k in range(3)]} for i in range(12)]},
    'nested_anyOf_depth_20': lambda: doubled(20, 'anyOf'),
    'allOf_doubling_20': lambda: doubled(20, 'allOf'),
    'pattern_a_plus_plus': lambda: {'type': 'string', 'pattern': '^(a+)+$'},
    'pattern_blowup': lambda: {'type': 'string', 'pattern': '^.*a.{20}$'},
    'minimum_huge': lambda: {'type': 'integer', 'minimum': -10 ** 40, 'maximum': 10 ** 40},
    'multipleOf_tiny': lambda: {'type': 'number', 'multipleOf': 1e-300},
    'pattern_backref': lambda: {'type': 'string', 'pattern': '^(a)\\1$'},
    'pattern_invalid': lambda: {'type': 'string', 'pattern': 'foo**['},
    'pattern_nested_repeat': lambda: {'type': 'string', 'pattern': '^((a{1,1000}){1,1000}){1,1000}$'},
    'prop_name_quotes': lambda: {'type': 'object', 'properties': {'"\\\n': {'type': 'integer'}}, 'required': ['"\\\n']},
    'unsat': lambda: {'type': 'integer', 'minimum': 5, 'maximum': 4},
    'pattern_lookahead': lambda: {'type': 'string', 'pattern': '^(?=.*[A-Z]).{8,}$'},
}
REGEX = {
    '100k_class': '[' + ''.join(chr(0x4E00 + 2 * (i % 10000)) for i in range(100000)) + ']',
    'counter': '(a{1,1000}b){1,1000}',
    'dotstar_20': '.*a' * 20,
    'exp_nfa': '(a|b)*a(a|b){20}',
    'invalid': 'foo**[',
    'unbalanced': '((',
    'unicode_class': '\\p{L}+',
}
TEXT = {'depth_3000': lambda: '{"not":' * 3000 + '{}' + '}' * 3000}  # too deep for json.dumps


def source(name):
    if name in GBNF:
        return 'gbnf ' + GBNF[name]().replace('\n', '\x01')
    if name in REGEX:
        return 'regex ' + REGEX[name]
    return 'schema ' + (TEXT[name]() if name in TEXT else json.dumps(SCHEMA[name]()))


def main():
    files = glob.glob(os.path.join(sys.argv[2], 'hostile-*.txt'))
    names = {line.split()[0] for path in files for line in open(path, encoding='utf-8') if line.strip()}
    d = Driver(sys.argv[1])
    wrong = 0
    for name in sorted(names):
        kind, compiled, then, most, *why = d.ask('H ' + source(name)).split(' ', 4)
        bad = compiled == NOMEM or int(most) > MEMORY or int(then) not in (OK, LIMIT, NO_TOKEN, int(compiled)) or (int(compiled) < 0) != (name in REFUSED)
        print(name, 'compiles' if compiled == '0' else compiled, 'then', then, 'bytes', most, *why, '<- WRONG' if bad else '')
        wrong += bad
    d.close()
    assert len(names) >= 30 and wrong == 0, '%d of %d' % (wrong, len(names))


main()
