#include "include/criposte.h"
