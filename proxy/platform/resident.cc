#include "proxy/platform/resident.hh"

#include <cstdint>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

namespace i3 {
namespace {

// What may be written is no file's any more.
bool comes_from_file(const ElfW(Phdr) & part) {
  return part.p_type == PT_LOAD && (part.p_flags & PF_W) == 0;
}

int give_back(dl_phdr_info* object, std::size_t, void* sum) {
  static const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  for (std::size_t i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& part = object->dlpi_phdr[i];
    if (!comes_from_file(part)) continue;
    const std::uintptr_t first = (object->dlpi_addr + part.p_vaddr + page - 1) / page * page;
    const std::uintptr_t end = (object->dlpi_addr + part.p_vaddr + part.p_memsz) / page * page;
    if (end > first && madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED) == 0)
      *static_cast<std::size_t*>(sum) += end - first;
  }
  return 0;
}

}  // namespace

std::size_t give_back_code() {
  std::size_t sum = 0;
  dl_iterate_phdr(give_back, &sum);
  return sum;
}

}  // namespace i3
