# SPDX-License-Identifier: Apache-2.0
# Each command as it is typed, and what gdb says.
echo (gdb) symbol-file station\n
symbol-file station
echo (gdb) break value_of if (long)r < 4096\n
break value_of if (long)r < 4096
echo (gdb) reverse-continue\n
reverse-continue
echo (gdb) monitor process here\n
monitor process here
echo (gdb) delete\n
delete
echo (gdb) watch -l station.newest\n
watch -l station.newest
echo (gdb) reverse-continue\n
reverse-continue
echo (gdb) print filled\n
print filled
echo (gdb) backtrace\n
backtrace
echo (gdb) when\n
when
echo (gdb) stepi\n
stepi
echo (gdb) reverse-stepi\n
reverse-stepi
