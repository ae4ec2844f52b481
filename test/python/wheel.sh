# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced, in the root of the sources: the wheel of the checkout, with the library's dependencies inside it.
build_wheel() { # venv, folder: the wheel lies in FOLDER/wheel
    rm -rf "$2/wheel" && mkdir -p "$2/wheel" &&
        PATH=$1/bin:$PATH "$1/bin/python" -m pip wheel --no-build-isolation --no-deps -w "$2/wheel" -Cbuild-dir="$2/build" \
            -Csetup-args=--wrap-mode=forcefallback .
}
