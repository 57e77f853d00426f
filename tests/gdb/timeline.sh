#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Random motions on a recording made here: timeline.sh prog|boot MOTIONS [SEED]
. "$(dirname "$0")/../rr/lib.sh"
if [ "$1" = prog ]; then
	"$RV" record -o t --kernel="${RV_PROG:?}" --memory=64M --checkpoint-every=0.01 </dev/null >t.out 2>t.err
	grep -q 'is damaged' t.out || die "the guest did not do its work: $(cat t.out t.err)"
else
	need "$kernel" "$initrd"
	record t off </dev/null || die "record: $(tail -n 3 t.err)"
fi
"${RV_TIMELINE:?}" "$PWD/t" "${@:2}"
