#!/bin/sh
# sshd's ForceCommand: runs $SSH_ORIGINAL_COMMAND in ROOT, in place of a shell of this machine. Mounts are the command's own.
# /sys is needed: without it XNNPACK does not find the processor, and LiteRT computes with other kernels.
exec unshare -m sh -c '
    mount -t proc proc "$ROOT/proc" && mount --rbind /sys "$ROOT/sys" && mount --rbind /dev "$ROOT/dev" || exit 1
    exec chroot "$ROOT" /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin \
        HOME="${HOME#"$ROOT"}" QEMU_CPU="$QEMU_CPU" SSHD_PORT="$SSHD_PORT" /bin/sh -c "$SSH_ORIGINAL_COMMAND"
'
