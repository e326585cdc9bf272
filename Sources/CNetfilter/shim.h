#include <libmnl/libmnl.h>
#include <libnftnl/table.h>
