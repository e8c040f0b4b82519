/// config/diagnostic_codes.h: the stable names of the errors of an experiment. docs/errors.md
/// explains each, tests/config/errors shows each.
#pragma once

#include <array>
#include <string_view>

namespace qhost::config::code {

inline constexpr char bad_index[] = "config.bad-index";
inline constexpr char bad_name[] = "config.bad-name";
inline constexpr char bad_override[] = "config.bad-override";
inline constexpr char batch_size[] = "config.batch-size";
inline constexpr char component[] = "config.component";
inline constexpr char conflict[] = "config.conflict";
inline constexpr char doubtful[] = "config.doubtful";
inline constexpr char duplicate_key[] = "config.duplicate-key";
inline constexpr char extends_cycle[] = "config.extends-cycle";
inline constexpr char extends_depth[] = "config.extends-depth";
inline constexpr char file[] = "config.file";
inline constexpr char file_too_large[] = "config.file-too-large";
inline constexpr char line_too_long[] = "config.line-too-long";
inline constexpr char missing_key[] = "config.missing-key";
inline constexpr char nesting[] = "config.nesting";
inline constexpr char not_text[] = "config.not-text";
inline constexpr char out_of_range[] = "config.out-of-range";
inline constexpr char refused_plugin[] = "config.refused-plugin";
inline constexpr char rule_matches_nothing[] = "config.rule-matches-nothing";
inline constexpr char rule_overridden[] = "config.rule-overridden";
inline constexpr char schedule[] = "config.schedule";
inline constexpr char sweep[] = "config.sweep";
inline constexpr char syntax[] = "config.syntax";
inline constexpr char unknown_choice[] = "config.unknown-choice";
inline constexpr char unknown_component[] = "config.unknown-component";
inline constexpr char unknown_key[] = "config.unknown-key";
inline constexpr char weights[] = "config.weights";
inline constexpr char wrong_type[] = "config.wrong-type";

inline constexpr std::array<std::string_view, 28> all = {
    bad_index,   bad_name,       bad_override,   batch_size,           component,
    conflict,    doubtful,       duplicate_key,  extends_cycle,        extends_depth,
    file,        file_too_large, line_too_long,  missing_key,          nesting,
    not_text,    out_of_range,   refused_plugin, rule_matches_nothing, rule_overridden,
    schedule,    sweep,          syntax,         unknown_choice,       unknown_component,
    unknown_key, weights,        wrong_type};

}  // namespace qhost::config::code
