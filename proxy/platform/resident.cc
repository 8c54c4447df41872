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

// Whether the loader wrote into what is read-only: its pages are not the file's then.
bool has_text_relocations(const dl_phdr_info& object) {
  for (std::size_t i = 0; i < object.dlpi_phnum; ++i) {
    if (object.dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
    const auto* entry =
        reinterpret_cast<const ElfW(Dyn)*>(object.dlpi_addr + object.dlpi_phdr[i].p_vaddr);
    for (; entry->d_tag != DT_NULL; ++entry)
      if (entry->d_tag == DT_TEXTREL ||
          (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL) != 0))
        return true;
  }
  return false;
}

int give_back(dl_phdr_info* object, std::size_t, void* sum) {
  if (has_text_relocations(*object)) return 0;
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
