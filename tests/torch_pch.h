/// The precompiled header of the tests that include LibTorch.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/torch_pch.h"
