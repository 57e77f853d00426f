# SPDX-License-Identifier: Apache-2.0
# The same search, but in all address spaces: it comes to the other copy of the program.
symbol-file station
break value_of if (long)r < 4096
reverse-continue
set $space = $cr3
delete
watch -l station.newest
seek end
reverse-continue
printf "other space %d in ", $cr3 != $space
frame
