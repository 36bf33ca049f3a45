#include "io/send_queue.hpp"

#include <linux/sockios.h>
#include <sys/ioctl.h>

namespace sluice::io {

int unacknowledged_bytes(int descriptor, int otherwise) noexcept {
  int bytes = 0;
  return ::ioctl(descriptor, SIOCOUTQ, &bytes) == 0 ? bytes : otherwise;
}

} // namespace sluice::io
