#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What abi.py makes of later headers: each thing keeps the release that added it, and what a release has stays.

usage: test_abi.py HEADER
"""
import re
import sys

import abi


def later(header, *edits):
    header = re.sub(r"(define REMORA_VERSION_MINOR) \d+", r"\1 1", header)
    for old, new in edits:
        assert old in header, old
        header = header.replace(old, new, 1)
    return header


def refusal(*edits):
    try:
        abi.dated(abi.describe(later(HEADER, *edits)), abi.dated(abi.describe(FIRST), None))
    except SystemExit as e:
        return str(e)
    raise AssertionError("not refused: %s" % (edits,))


def added():
    first = abi.dated(abi.describe(FIRST), None)
    assert {item["since"] for _, item in abi.parts_of(first)} == {"1.0"}
    second = abi.dated(abi.describe(later(
        HEADER,
        ("REMORA_LOG_DEBUG = 4", "REMORA_LOG_DEBUG = 4, REMORA_LOG_TRACE"),
        ("} remora_eval_opts;", "    uint64_t more;\n} remora_eval_opts;"),
        ("/* ---- compute", "REMORA_API int32_t REMORA_CALL remora_later(void (REMORA_CALL *f)(void *user));\n/* --"))), first)
    new = {path for path, item in abi.parts_of(second) if item["since"] == "1.1"}
    assert new == {("enums", "remora_log_levels", "REMORA_LOG_TRACE"), ("structs", "remora_eval_opts", "more"),
                   ("functions", "remora_later")}, new
    values = {path[-1]: item.get("value") for path, item in abi.parts_of(second)}
    assert values["REMORA_LOG_TRACE"] == 5
    third = abi.dated(abi.describe(later(HEADER)), second)  # 1.1 is not out yet: what it adds may go
    assert ("functions", "remora_later") not in dict(abi.parts_of(third))


def kept():
    says = {
        "functions remora_eval of release 1.0 is gone": ("REMORA_CALL remora_eval(", "REMORA_CALL remora_evaluate("),
        "functions remora_model_free of release 1.0 has changed": ("remora_model_free(remora_model *m)",
                                                                   "remora_model_free(const remora_model *m)"),
        "functions remora_session_fork of release 1.0 has changed": ("remora_session_fork(remora_session *s,",
                                                                     "remora_session_fork(remora_session *from,"),
        "enums remora_log_levels REMORA_LOG_INFO of release 1.0 has changed": ("REMORA_LOG_INFO  = 3", "REMORA_LOG_INFO  = 7"),
        "constants REMORA_TOKEN_NONE of release 1.0 has changed": ("((remora_token)-1)", "((remora_token)-2)"),
        "structs remora_eval_opts max_tokens of release 1.0 has changed": ("    uint64_t max_tokens;   /* stop after",
                                                                           "    uint64_t more;\n    uint64_t max_tokens; /*"),
        "structs remora_blob of release 1.0 has changed": ("} remora_blob;", "    uint64_t more;\n} remora_blob;"),
    }
    for text, edit in says.items():
        assert text in refusal(edit), (text, refusal(edit))


def understood():
    says = {
        "an enum was not understood, or has no name": ("enum remora_log_levels {", "enum {"),
        "a struct was not understood": ("} remora_blob;", "    struct inner { int32_t x; } y;\n} remora_blob;"),
        "lies behind padding": ("} remora_blob;", "    int32_t a;\n    uint64_t b;\n} remora_blob;"),
        "ends with padding": ("} remora_blob;", "    int32_t a;\n} remora_blob;"),
        "cannot read the declaration": ("} remora_blob;", "    int32_t a, b;\n} remora_blob;"),
        "a field has the type long": ("} remora_blob;", "    long a;\n} remora_blob;"),
    }
    for text, edit in says.items():
        assert text in refusal(edit), (text, refusal(edit))


with open(sys.argv[1], encoding="utf-8") as f:
    HEADER = f.read()
FIRST = re.sub(r"(define REMORA_VERSION_MINOR) \d+", r"\1 0", HEADER)
added()
kept()
understood()
