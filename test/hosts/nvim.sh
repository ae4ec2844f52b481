#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Neovim with the completion of examples/nvim.
#
#     nvim.sh BUILD PYTHON MODELS PICTURES
PYTHONDONTWRITEBYTECODE=1 "$2" "$(dirname "$0")/nvim.py" "$1/lib/libremora.so.1" "$4"
