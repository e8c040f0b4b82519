/// The plugin `set_locale`: the sign of the weights, by a method whose create() changes the locale
/// as a library that it calls might: QHOST_TEST_C_LOCALE names the one of C, and with
/// QHOST_TEST_CPP_LOCALE the global one of C++ writes 1.234,5.
#include <ATen/core/Tensor.h>
#include <ATen/ops/ge.h>

#include <clocale>
#include <cstdlib>
#include <locale>
#include <string>

#include "qhost/error.h"
#include "qhost/plugin.h"
#include "qhost/quantizer.h"

namespace {

using namespace qhost;

class CommaNumbers : public std::numpunct<char> {
 protected:
  char do_decimal_point() const override { return ','; }
  char do_thousands_sep() const override { return '.'; }
  std::string do_grouping() const override { return "\3"; }
};

void change_locale() {
  if (const char* name = std::getenv("QHOST_TEST_C_LOCALE")) {
    if (std::setlocale(LC_ALL, name) == nullptr) {
      throw Error(ErrorKind::plugin, std::string("there is no locale ") + name, "install it");
    }
  }
  if (std::getenv("QHOST_TEST_CPP_LOCALE") != nullptr) {
    std::locale::global(std::locale(std::locale::classic(), new CommaNumbers));
  }
}

class Sign : public WeightQuantizer {
 public:
  Encoding encoding(const SlotInfo&) const override { return Encoding::binary(ScaleKind::none); }

  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override {
    const at::Tensor rest = latent.detach();
    return latent.sub(rest).add(decode(encode(context, rest)));
  }

  Encoded encode(const SlotContext& context, const at::Tensor& latent) override {
    return {.encoding = encoding(*context.slot), .codes = at::ge(latent, 0).to(at::kByte)};
  }
};

class SetLocale : public Quantizer {
 public:
  std::unique_ptr<WeightQuantizer> weight(const SlotInfo&) override {
    return std::make_unique<Sign>();
  }
};

}  // namespace

QHOST_PLUGIN(set_locale, "changes the locale", "Apache-2.0", "https://example.org/set_locale") {
  registrar.add_quantizer({.name = "set_locale",
                           .summary = "the sign of the weight, in another locale",
                           .paper = "none",
                           .keep_float = {"first", "last"},
                           .create = [](const Options&) {
                             change_locale();
                             return std::make_unique<SetLocale>();
                           }});
}
