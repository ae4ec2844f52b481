# SPDX-License-Identifier: Apache-2.0
# Recorded schemas and documents: schema_data.py DRIVER FOLDER WHAT [TOKENIZER VOCABULARY], where WHAT is suite, schemastore,
# tools, generated, formats or tokens.
#
# Each group compiles, takes its valid documents and refuses the invalid ones, byte by byte. No invalid one may be taken; groups
# that are not right may be as many as docs/schema.md says. `generated`: random documents are valid for jsonschema. `tokens`: in
# random tokens of a real vocabulary each document is taken or refused as it is byte by byte, and masks agree.
import glob
import json
import os
import subprocess
import sys

RIGHT = {'suite': 416, 'schemastore': 152, 'tools': 554}


class Driver:
    def __init__(self, *command):
        self.p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def say(self, line):
        self.p.stdin.write(line.encode('utf-8', 'surrogatepass') + b'\n')
        self.p.stdin.flush()

    def ask(self, line):
        self.say(line)
        return self.p.stdout.readline().decode('utf-8', 'replace').rstrip('\n')

    def close(self):
        self.p.stdin.close()
        assert self.p.wait() == 0, 'memory was left'


def text(value):
    out = json.dumps(value, ensure_ascii=False)
    try:
        out.encode('utf-8')
    except UnicodeEncodeError:
        out = json.dumps(value)
    return out


def groups(folder, what):
    for name in sorted(glob.glob(os.path.join(folder, what, '**', '*.json'), recursive=True)):
        with open(name, encoding='utf-8') as f:
            for group in json.load(f):
                yield os.path.relpath(name, folder), group


def compiled(d, name, group):
    d.say('O %d' % (7 if 'draft7' in name else 0))
    return d.ask('S ' + text(group['schema']))


def documents(d, folder, what):
    right = taken = 0
    for name, group in groups(folder, what):
        got = compiled(d, name, group)
        if got != 'C':
            print(name, group.get('description'), got)
            continue
        said = [d.ask('D ' + text(t['data'])) == 'R 1' for t in group['tests']]
        for t, yes in zip(group['tests'], said):
            if yes != t['valid']:
                print(name, group.get('description'), 'takes' if yes else 'refuses', text(t['data'])[:100])
            taken += yes and not t['valid']
        right += said == [t['valid'] for t in group['tests']]
    print('%s: %d groups right, %d invalid documents taken' % (what, right, taken))
    assert taken == 0 and right >= RIGHT[what]


def complaint(validator, doc):
    for e in validator.iter_errors(doc):
        if e.validator == 'multipleOf' and not isinstance(e.instance, int):
            continue  # jsonschema divides binary fractions
        return '%s at %s' % (e.validator, '/'.join(map(str, e.absolute_path)))
    return None


def generated(d, folder, seeds):
    import jsonschema
    from format_judge import judge_of
    made = unfinished = 0
    wrong = []
    for what in RIGHT:
        for number, (name, group) in enumerate(groups(folder, what)):
            if 'optional' in name or (what == 'tools' and number % 8) or compiled(d, name, group) != 'C':
                continue
            default = jsonschema.Draft7Validator if 'draft7' in name else jsonschema.Draft202012Validator
            kind = jsonschema.validators.validator_for(group['schema'], default=default) if isinstance(group['schema'], dict) else default
            validator = kind(group['schema'], format_checker=judge_of(kind))
            for seed in range(1, 1 + seeds):
                got = d.ask('G %d' % seed)
                unfinished += got[0] == 'N'
                if got[0] == 'N':
                    continue
                why = 'a dead end' if got[0] != 'G' else complaint(validator, json.loads(got[2:]))
                made += 1
                if why is not None:
                    wrong.append('%s %s: %s: %s' % (name, group.get('description'), why, got[2:200]))
    print('\n'.join(wrong))
    print('%d documents, %d wrong, %d too long' % (made, len(wrong), unfinished))
    # Where other keys are allowed, a required one is seldom met by chance.
    assert not wrong and unfinished < made


def formats(d):
    import jsonschema
    from format_judge import ENFORCED, judge_of
    checker = judge_of(jsonschema.Draft202012Validator)
    wrong = []
    for name in ENFORCED:
        assert name in checker.checkers, 'nothing judges the format %s' % name
        assert d.ask('S ' + text({'type': 'string', 'format': name})) == 'C'
        got = [d.ask('G %d' % seed) for seed in range(1, 101)]
        made = [json.loads(g[2:]) for g in got if g[0] == 'G']
        wrong += ['%s: %s' % (name, v) for v in made if not checker.conforms(v, name)] + [name + ': ' + g for g in got if g[0] == 'X']
        print(name, len(made))
        assert len(made) > 50
    print('\n'.join(wrong))
    assert not wrong


def tokens(d, folder):
    wrong = []
    read = taken = 0
    for what in RIGHT:
        for number, (name, group) in enumerate(groups(folder, what)):
            if (what == 'tools' and number % 4) or compiled(d, name, group) != 'C':
                continue
            for t in group['tests']:
                doc = text(t['data'])
                once = d.ask('D ' + doc)
                taken += once == 'R 1'
                for seed in range(1, 4):
                    got = d.ask('T %d %s' % (seed, doc))
                    read += 1
                    if got != once:
                        wrong.append('%s %s: %s, in tokens %s: %s' % (name, group.get('description'), once, got, doc[:200]))
    print('\n'.join(wrong))
    print('%d tokenisations, %d documents taken, %d wrong' % (read, taken, len(wrong)))
    assert not wrong and taken > 1500


def main():
    d = Driver(sys.argv[1], *sys.argv[4:])
    if sys.argv[3] == 'tokens':
        tokens(d, sys.argv[2])
    elif sys.argv[3] == 'generated':
        generated(d, sys.argv[2], 4 if len(sys.argv) == 4 else 2)
    elif sys.argv[3] == 'formats':
        formats(d)
    else:
        documents(d, sys.argv[2], sys.argv[3])
    d.close()


if __name__ == '__main__':
    main()
