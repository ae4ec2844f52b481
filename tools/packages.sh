# SPDX-License-Identifier: Apache-2.0
# Sourced by ./get-started and ./run-tests: finds out what the build needs and lacks, and installs it
# with apt-get. Looks for the things themselves, not for packages, so that it also works where they
# came from somewhere else.

# want COMMAND-THAT-SUCCEEDS PACKAGE...: remembers the packages when the command fails
missing=()
want() {
    local check=$1
    shift
    eval "$check" >/dev/null 2>&1 || missing+=("$@")
}

want_build() {
    want 'printf "#include <stdio.h>\nint main(void) { return 0; }\n" | ${CC:-cc} -x c -o /dev/null -' gcc libc6-dev
    want 'command -v meson' meson
    want 'command -v ninja' ninja-build
    want 'command -v python3' python3
    want 'command -v pkg-config' pkg-config
    want 'pkg-config --exists "jansson >= 2.11"' libjansson-dev
    want 'pkg-config --exists "libpcre2-8 >= 10.32"' libpcre2-dev
    want 'pkg-config --exists libutf8proc' libutf8proc-dev
    want 'pkg-config --exists "yaml-0.1 >= 0.2.2"' libyaml-dev
    want 'pkg-config --exists "libzstd >= 1.4.0"' libzstd-dev
}

# Installs what want() remembered; says so first. Fails with the list when it cannot.
install_missing() {
    local sudo=()
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "installing: ${missing[*]}"
    if ! command -v apt-get >/dev/null; then
        echo "there is no apt-get here: please install what these Debian packages hold and run this again" >&2
        return 1
    fi
    [ "$(id -u)" -eq 0 ] || sudo=(sudo)
    if ! quietly "${sudo[@]}" apt-get update ||
        ! quietly "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; then
        echo "the packages could not be installed" >&2
        return 1
    fi
}

# Runs a command and shows the end of what it said only if it fails.
quietly() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 || status=$?
    [ $status -eq 0 ] || { echo "failed: $*" >&2; tail -n 40 "$log" >&2; }
    rm -f "$log"
    return $status
}

# configure FOLDER MESON-OPTION...: a build folder, made anew or brought to these options
configure() {
    local dir=$1
    shift
    if [ -f "$dir/build.ninja" ]; then
        quietly meson configure "$dir" "$@"
    else
        quietly meson setup "$dir" "$@"
    fi
}
