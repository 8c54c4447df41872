#include "proxy/daemon/joined_groups.hh"

#include <bit>
#include <doctest/doctest.h>

using namespace i3;

namespace {

using Addresses = std::vector<IpAddress>;

IpAddress address(const char* text) {
  return *IpAddress::parse(text);
}

// As the kernel of a little-endian machine prints it.
constexpr std::string_view kIgmp =
    "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n"
    "1\tlo        :     1      V3\n"
    "\t\t\t\t010000E0     1 0:00000000\t\t0\n"
    "4\ti3        :     2      V3\n"
    "\t\t\t\t030201EF     1 0:00000000\t\t0\n"
    "\t\t\t\t010000E0     1 0:00000000\t\t0\n"
    "5\teth0      :     1      V3\n"
    "\t\t\t\t040201EF     1 0:00000000\t\t0\n";
constexpr std::string_view kIgmp6 =
    "4    i3              ff150000000000000000000000010003     1 0000000C 0\n"
    "4    i3              ff020000000000000000000000000001     1 0000000C 0\n"
    "5    eth0            ff150000000000000000000000010004     1 00000008 0\n";

}  // namespace

TEST_CASE("what programs joined on an interface is read from the kernel's lists") {
  if (std::endian::native == std::endian::little) {
    CHECK(joined_v4(kIgmp, "i3") == Addresses{address("239.1.2.3"), address("224.0.0.1")});
    CHECK(joined_v4(kIgmp, "eth0") == Addresses{address("239.1.2.4")});
  }
  CHECK(joined_v4(kIgmp, "i").empty());
  CHECK(joined_v6(kIgmp6, "i3") == Addresses{address("ff15::1:3"), address("ff02::1")});
  CHECK(joined_v6(kIgmp6, "i33").empty());
}

TEST_CASE("lists that are cut or damaged give what is whole in them") {
  for (std::size_t size = 0; size <= kIgmp.size(); ++size)
    CHECK(joined_v4(kIgmp.substr(0, size), "i3").size() <= 2);
  for (std::size_t size = 0; size <= kIgmp6.size(); ++size)
    CHECK(joined_v6(kIgmp6.substr(0, size), "i3").size() <= 2);
  CHECK(joined_v4("4\ti3 :\n\tnonsense here\n\t0302zzEF 1\n\n \n", "i3").empty());
  CHECK(joined_v6("4 i3 ff15zz00000000000000000000010003 1\n4 i3\n", "i3").empty());
}

TEST_CASE("a host's report of what it joined is told from other packets") {
  const std::vector<std::uint8_t> report{0x46, 0, 0,   28, 0, 0,  0,    0, 1, 2, 0,    0, 100, 64,
                                         0,    1, 224, 0,  0, 22, 0x94, 4, 0, 0, 0x22, 0, 0,   0};
  CHECK(is_membership_report(report));
  auto other = report;
  other[9] = 17;
  CHECK_FALSE(is_membership_report(other));
  CHECK_FALSE(is_membership_report({}));
  std::vector<std::uint8_t> six(48);
  six[0] = 0x60;
  six[5] = 8;
  six[6] = 58;
  six[40] = 143;
  CHECK_FALSE(is_membership_report(six));  // not to a group
  six[24] = 0xff;
  CHECK(is_membership_report(six));
  six[40] = 128;
  CHECK_FALSE(is_membership_report(six));
}
