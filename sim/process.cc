#include "sim/process.hh"

#include <fstream>
#include <malloc.h>
#include <thread>
#include <time.h>

namespace i3::sim {

double machine_seconds() {
  timespec spent{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
  return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) / 1e9;
}

std::size_t allocated_bytes() {
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

std::string machine_name() {
  const std::string cores = std::to_string(std::thread::hardware_concurrency()) + " cores";
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.rfind("model name", 0) == 0) return cores + ' ' + line.substr(line.find(':') + 2);
  return cores;
}

}  // namespace i3::sim
