#!/bin/sh
# Makes an aarch64 Debian 12 with Python 3.11 in FOLDER/root, and a qemu that runs it in FOLDER/qemu-aarch64. As root.
# Debian 12's own qemu (7.2) starts Python and crashes in LiteRT, so that of Debian 13 is taken; it is one static file.
# Packages come from where this machine's apt gets its own.
set -eu
folder=$1
mkdir -p "$folder"
cd "$folder"

mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/*$' | head -n 1)
debootstrap --foreign --arch=arm64 --variant=minbase \
    --include=python3-minimal,libpython3.11-stdlib bookworm root "$mirror"
# The second stage would run every package's scripts under emulation; unpacking is enough for Python.
for package in root/var/cache/apt/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -C root --keep-directory-symlink --skip-old-files -xf -
    rm "$package"
done
# debootstrap may leave a link to /proc there, which is a ring inside the root.
rm -rf root/proc
mkdir -p root/proc root/sys root/dev root/home

mkdir -p lists/partial
printf 'Types: deb\nURIs: %s\nSuites: trixie\nComponents: main\nTrusted: yes\n' "$mirror" > trixie.sources
trixie() {
    apt-get -q -o Dir::Etc::sourcelist="$folder/trixie.sources" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::Lists="$folder/lists" "$@"
}
trixie update
trixie download qemu-user
dpkg-deb --fsys-tarfile qemu-user_*.deb | tar --strip-components=3 -xf - ./usr/bin/qemu-aarch64
rm -rf lists qemu-user_*.deb trixie.sources
./qemu-aarch64 --version
