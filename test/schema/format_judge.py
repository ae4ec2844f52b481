# SPDX-License-Identifier: Apache-2.0
# What judges the strings of a format: the packages that jsonschema asks when they are installed (test/requirements.txt), and
# rules of our own where it asks none, or one that knows less than the RFC.
import email.headerregistry
import ipaddress
import re

import jsonschema

# What docs/schema.md says is enforced.
ENFORCED = ['date', 'time', 'date-time', 'duration', 'email', 'idn-email', 'hostname', 'ipv4', 'ipv6', 'uri', 'uri-reference', 'iri',
            'iri-reference', 'uri-template', 'uuid', 'json-pointer', 'relative-json-pointer', 'regex']

THEIRS = {name: check[0] for name, check in jsonschema.Draft202012Validator.FORMAT_CHECKER.checkers.items()}


def without_leap(text):
    """A second 60 as 59 where it is the last of a day of UTC: rfc3339-validator knows none."""
    m = re.search(r'(\d\d):(\d\d):60((?:\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d)))$', text)
    if m is None:
        return text
    offset = int(m[5]) * 60 + int(m[6]) if m[4] else 0
    minute = (int(m[1]) * 60 + int(m[2]) + (offset if m[4] == '-' else -offset)) % 1440
    return text[:m.start(3) - 2] + '59' + m[3] if minute == 1439 else text


def is_email(text):
    """jsonschema looks for an @ alone."""
    domain = text.rpartition('@')[2]
    try:
        email.headerregistry.Address(addr_spec=text)
        if domain.startswith('['):
            return bool(ipaddress.ip_address(domain[1:-1].removeprefix('IPv6:')))
    except Exception:  # noqa: BLE001: whatever it says, it does not take it
        return False
    return THEIRS['hostname'](domain)


def is_relative_pointer(text):
    """jsonschema takes 101 for a number that begins with 0."""
    m = re.fullmatch(r'(?:0|[1-9][0-9]*)(#|.*)', text, re.DOTALL)
    return m is not None and (m[1] in ('', '#') or THEIRS['json-pointer'](m[1]))


def plain_template(text):
    """The package knows prefixes of up to three digits and no name that begins with %41; the RFC has both."""
    text = re.sub(r'(:[1-9]\d\d)\d(?=[,}])', r'\1', text)
    return re.sub(r'([{,][+#./;?&]?)%[0-9A-Fa-f]{2}', r'\1x', text)


OURS = {
    'time': lambda t: THEIRS['time'](without_leap(t)),
    'date-time': lambda t: THEIRS['date-time'](without_leap(t)),
    'email': is_email,
    'idn-email': lambda t: is_email(re.sub('[^\0-\x7f]', 'x', t)),
    'relative-json-pointer': is_relative_pointer,
    'uri-template': lambda t: THEIRS['uri-template'](plain_template(t)),
}


def judge_of(kind):
    """The judge of a draft's formats."""
    judge = jsonschema.FormatChecker(())
    judge.checkers = dict(kind.FORMAT_CHECKER.checkers)
    for name, check in OURS.items():
        if name in judge.checkers:
            judge.checkers[name] = (lambda v, check=check: not isinstance(v, str) or check(v), Exception)
    return judge
