#!/bin/sh
# Installs this kit into a folder: no network, no pip, no compiler, and no root unless --service is asked for.
# The new one is unpacked and tested beside the old one; a single rename puts it in its place, or nothing changes.
set -eu
umask 022
export LC_ALL=C

target='@target@'
machine='@machine@'
python='@python@'
pythons='@pythons@'
glibc='@glibc@'
needs_kib=@needs_kib@
files=@files@
service_unit=edgebrain-watch.service
units=/etc/systemd/system
states=/var/lib/edgebrain
user=edgebrain

usage() {
    cat <<'TEXT'
./install.sh [--to DIR] [--service] [--key FILE]    install, after a self-test, into DIR
./install.sh --uninstall [--to DIR]    take it away again; results stay

  --to DIR     default: edgebrain in your home folder; /opt/edgebrain with --service
  --service    as root: also watch /var/lib/edgebrain/in, from now on and after each start
  --key FILE   install only a bundle that the owner of this public key signed; get the file by another way than the kit
  --uninstall  with --service: the one in /opt/edgebrain
TEXT
}

main() {
    read_options "$@"
    if [ "$task" = uninstall ]; then
        uninstall
    else
        install
    fi
}

fail() {
    printf 'Error: %s\n  %s\n' "$1" "$2" >&2
    exit "${3:-1}"
}

read_options() {
    task=install folder='' service='' key=''
    while [ $# -gt 0 ]; do
        case $1 in
            --to) [ -n "${2:-}" ] || fail '--to needs a folder' "see ./install.sh --help" 2; folder=$2; shift ;;
            --service) service=yes ;;
            --key) [ -n "${2:-}" ] || fail '--key needs a file' "see ./install.sh --help" 2; key=$2; shift ;;
            --uninstall) task=uninstall ;;
            -h | --help) usage; exit 0 ;;
            *) fail "$1: is not known" "see ./install.sh --help" 2 ;;
        esac
        shift
    done
    kit=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
    if [ -z "$folder" ] && [ -n "$service" ]; then folder=/opt/edgebrain; fi
    if [ -z "$folder" ]; then
        [ -n "${HOME:-}" ] || fail 'HOME is not set' 'name a folder with --to' 2
        folder=$HOME/edgebrain
    fi
    case $folder in /*) ;; *) folder=$PWD/$folder ;; esac
    folder=${folder%/}
}

install() {
    check_files
    check_machine
    find_python
    check_signature
    check_folder
    [ -z "$service" ] || check_service
    make_part
    check_space
    unpack
    self_test
    switch
    say_installed
    [ -z "$service" ] || start_service
}

check_files() {
    # Counted as well: a list that was cut short would leave files unchecked.
    [ -f "$kit/SHA256SUMS" ] && [ "$(wc -l <"$kit/SHA256SUMS")" -eq "$files" ] ||
        fail 'SHA256SUMS: is missing, or does not list the files of this kit' 'copy the kit again'
    told=$(cd "$kit" && sha256sum -c SHA256SUMS 2>/dev/null) && return
    first=$(printf '%s\n' "$told" | grep -v ': OK$' | head -n 1)
    fail "${first%%: *}: is missing or does not match its hash; nothing was installed" \
        'the kit was changed or cut short: copy kit.tar again, and unpack it in a new folder'
}

check_machine() {
    here=$(uname -m)
    [ "$here" = "$machine" ] && return
    case $here in
        armv6l | armv7l | armv8l | i?86) fail "this system is 32-bit ($here), the kit is for $machine" \
            'install a 64-bit system, such as Raspberry Pi OS (64-bit)' ;;
        aarch64) fail "this machine is an $here, the kit is for $machine" 'make one with: edgebrain deploy BUNDLE --target pi' ;;
        x86_64) fail "this machine is an $here, the kit is for $machine" \
            'make one with: edgebrain deploy BUNDLE --target laptop' ;;
        *) fail "this machine is a $here, the kit is for $machine" 'there are kits for aarch64 and x86_64' ;;
    esac
}

# Of a Python: bits of an address, its version, and whether its C library is new enough (and which it is).
ask='
import os, struct, sys
try:
    library = os.confstr("CS_GNU_LIBC_VERSION") or "none"
except (ValueError, OSError):
    library = "none"
numbers = [int(part) for part in library.split()[-1].split(".")[:2]] if library != "none" else [0]
fits = numbers >= [int(part) for part in sys.argv[1].split(".")]
print("%d %d.%d %s %s" % (8 * struct.calcsize("P"), sys.version_info[0], sys.version_info[1], fits, library))
'

find_python() {
    seen=''
    for name in "python$python" python3; do
        interpreter=$(command -v "$name") || continue
        facts=$("$interpreter" -c "$ask" "$glibc" 2>/dev/null) || continue
        bits=${facts%% *} rest=${facts#* }
        version=${rest%% *} rest=${rest#* }
        fits=${rest%% *} library=${rest#* }
        [ "$bits" = 64 ] || fail "the kernel is 64-bit ($machine) but the system on it is 32-bit (Python of $bits bits)" \
            'install a 64-bit system, such as Raspberry Pi OS (64-bit)'
        seen=$version
        [ "$version" = "$python" ] && break
    done
    [ -n "$seen" ] || fail "there is no Python here, Python $python is needed" 'apt-get install python3'
    [ "$seen" = "$python" ] || other_python
    [ "$fits" = True ] || fail "the C library here is $library, glibc $glibc or newer is needed" \
        'take a newer Debian or Raspberry Pi OS; Alpine and others with musl cannot load these wheels'
    "$interpreter" -I -S -c 'import argparse, csv, ctypes, fcntl, hashlib, json, zipfile, zlib' 2>/dev/null ||
        fail "$interpreter: lacks parts of its standard library" 'apt-get install python3'
    # A service cannot see into a home folder, and a shim must not choose another Python tomorrow.
    interpreter=$("$interpreter" -I -S -c 'import os, sys; print(os.path.realpath(sys.executable))')
}

check_signature() {
    [ -n "$key" ] || return 0
    for wheel in "$kit"/wheels/edgebrain-*.whl; do
        # The program openssl of this system does the arithmetic; nothing of the kit's wheels is imported but our own.
        PYTHONPATH=$wheel "$interpreter" -S -m edgebrain.signature \
            "$kit/bundle/manifest.json" "$kit/bundle/signature" "$key" || exit 1
    done
}

other_python() {
    case " $pythons " in
        *" $seen "*) fail "the kit is for Python $python, here is Python $seen" \
            "make one with: edgebrain deploy BUNDLE --target $target --python $seen" ;;
        *) fail "the kit is for Python $python, here is Python $seen" \
            "there are kits for Python $pythons: take a system that has one of them" ;;
    esac
}

check_folder() {
    [ ! -e "$folder" ] || [ -d "$folder" ] || fail "$folder: is a file" 'choose another --to'
    if [ -d "$folder" ] && [ ! -f "$folder/.edgebrain" ]; then
        other=$(ls -A -- "$folder" 2>/dev/null | head -n 1)
        [ -z "$other" ] || fail "$folder: already holds something else ($other)" 'choose another --to'
    fi
    for name in bin site bundle reference kit.json current; do
        [ ! -e "$folder/$name" ] || [ -L "$folder/$name" ] || fail "$folder/$name: is in the way" "move it elsewhere"
    done
}

make_part() {
    part='' made=''
    [ -d "$folder" ] || made=yes
    trap tidy EXIT
    trap 'exit 130' INT
    trap 'exit 143' HUP TERM
    mkdir -p -- "$folder" 2>/dev/null &&
        printf 'The installer of edgebrain works in this folder. What it did not make stays.\n' \
            2>/dev/null >"$folder/.edgebrain" &&
        part=$(mktemp -d "$folder/.kit.XXXXXX" 2>/dev/null) ||
        fail "$folder: cannot be written" 'choose another --to, free some space, or call the one who may write there'
    chmod 755 "$part"
}

tidy() {
    # After the switch, `part` is empty: then it is no part any more, but what is installed.
    if [ -n "$part" ]; then rm -rf -- "$part"; fi
    if [ -n "$made" ] && [ ! -e "$folder/current" ]; then
        rm -f -- "$folder/.edgebrain"
        rmdir -- "$folder" 2>/dev/null || true
    fi
}

room='
import os, sys
disk = os.statvfs(sys.argv[1])
print(disk.f_bavail * disk.f_frsize // 1024)
'

check_space() {
    free_kib=$("$interpreter" -I -S -c "$room" "$folder")
    [ "$free_kib" -ge "$needs_kib" ] || fail \
        "$folder: $((free_kib / 1024)) MiB are free, $((needs_kib / 1024)) MiB are needed" \
        'free some space, or choose another --to'
}

unpack() {
    mkdir "$part/site" "$part/bin"
    # Only wheels that the list of hashes names: another one in the folder was not checked.
    for wheel in $(sed -n 's|^[0-9a-f]*  \(wheels/[A-Za-z0-9_.+-]*\.whl\)$|\1|p' "$kit/SHA256SUMS"); do
        "$interpreter" -I -S -m zipfile -e "$kit/$wheel" "$part/site" 2>/dev/null ||
            fail "$wheel: cannot be unpacked into $folder" 'free some space, or choose another --to'
    done
    cp -R -- "$kit/bundle" "$kit/reference" "$kit/kit.json" "$part/" &&
        cp -- "$kit/device/edgebrain-predict" "$kit/device/edgebrain-selftest" "$part/bin/" &&
        chmod 755 "$part/bin/edgebrain-predict" "$part/bin/edgebrain-selftest" &&
        ln -s "$interpreter" "$part/python" || fail "$folder: cannot be written" 'free some space'
}

self_test() {
    echo 'self-test:'
    "$part/bin/edgebrain-selftest" || fail 'the self-test did not pass: nothing was installed' \
        'what was there before stays; the lines above say where this machine differs'
}

switch() {
    for name in bin site bundle reference kit.json; do
        ln -sfn "current/$name" "$folder/$name"
    done
    before=$(installed)
    # Written to the disk before it counts: a power cut must not leave a name without what it stands for.
    sync
    ln -s "${part##*/}" "$folder/.current.$$"
    mv -fT -- "$folder/.current.$$" "$folder/current"
    new=${part##*/} part=''
    for old in "$folder"/.kit.*; do
        [ "${old##*/}" = "$new" ] || rm -rf -- "$old"
    done
}

# What is installed, in words; nothing where nothing is.
installed() {
    [ -f "$folder/current/kit.json" ] || return 0
    sed -n 's/^ "about": "\(.*\)",*$/\1/p' "$folder/current/kit.json"
}

say_installed() {
    [ -z "$before" ] || echo "replaced: $before"
    echo "installed: $(installed)"
    echo "  in $folder; anything else in there was left alone"
    [ -n "$service" ] || echo "  '$folder/bin/edgebrain-predict' SLICE.png --out OUT"
    if [ -z "$service" ] && serves; then echo '  sudo systemctl restart edgebrain-watch'; fi
}

check_service() {
    [ "$(id -u)" = 0 ] || fail '--service needs root' 'sudo ./install.sh --service'
    command -v systemctl >/dev/null && [ -d "$units" ] ||
        fail 'there is no systemd here' 'start bin/edgebrain-predict --watch IN --out OUT by other means'
    case $folder in
        /home/* | /root/* | /tmp/* | /var/tmp/*) fail "$folder: the service cannot see that folder" 'use --to /opt/edgebrain' ;;
        *[!A-Za-z0-9/._-]*) fail "$folder: a unit takes letters, digits and . _ - only" 'use --to /opt/edgebrain' ;;
    esac
    case $interpreter in
        /home/* | /root/*) fail "$interpreter: the service cannot see that folder" 'apt-get install python3' ;;
    esac
}

start_service() {
    id "$user" >/dev/null 2>&1 ||
        useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$user"
    systemctl stop "$service_unit" 2>/dev/null || true
    keep_answers
    sed "s|/opt/edgebrain|$folder|g" "$kit/device/$service_unit" >"$units/.$service_unit.part"
    mv -f -- "$units/.$service_unit.part" "$units/$service_unit"
    systemctl daemon-reload
    systemctl enable --now "$service_unit"
    echo "watching: $states/in; answers: $states/out"
    echo "  who may put slices there: sudo usermod -aG $user ${SUDO_USER:-NAME}"
}

# Answers of two bundles never share a table: those of the last one are put aside.
keep_answers() {
    [ -f "$states/out/model.json" ] || return 0
    hash=$(sha256sum <"$folder/bundle/manifest.json")
    if grep -q "${hash%% *}" "$states/out/model.json"; then return 0; fi
    aside=$states/out-until-$(date -u +%Y%m%dT%H%M%SZ)
    mv -- "$states/out" "$aside"
    echo "kept: the answers of the bundle before, in $aside; what is in $states/in is answered again"
}

# Whether the service runs from this folder.
serves() {
    grep -qs "^ExecStart=$folder/" "$units/$service_unit"
}

uninstall() {
    [ -f "$folder/.edgebrain" ] || fail "$folder: edgebrain is not installed there" 'name its folder with --to'
    if serves; then
        [ "$(id -u)" = 0 ] || fail "$folder: the service runs from there" 'call it with sudo and --to'
        systemctl disable --now "$service_unit" 2>/dev/null || true
        rm -f -- "$units/$service_unit"
        systemctl daemon-reload
        echo "kept: $states with slices and answers, and the user $user"
    fi
    rm -f -- "$folder/current" 2>/dev/null || fail "$folder: cannot be written" 'call the one who installed it'
    for name in bin site bundle reference kit.json; do
        if [ -L "$folder/$name" ]; then rm -f -- "$folder/$name"; fi
    done
    rm -rf -- "$folder"/.kit.* "$folder"/.current.*
    if [ "$(ls -A -- "$folder")" = .edgebrain ]; then
        rm -f -- "$folder/.edgebrain"
        rmdir -- "$folder"
    else
        echo "kept: what else is in $folder"
    fi
    echo "uninstalled: $folder"
}

main "$@"
