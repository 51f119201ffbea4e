"""RRDBNet as basicsr defines it (basicsr/archs/rrdbnet_arch.py), in its names."""

import torch
from torch import nn
from torch.nn import functional as F


def conv(inputs, outputs):
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def leaky(x):
    return F.leaky_relu(x, 0.2)


class ResidualDenseBlock(nn.Module):
    def __init__(self, features, growth):
        super().__init__()
        for i in range(1, 5):
            setattr(self, f"conv{i}", conv(features + (i - 1) * growth, growth))
        self.conv5 = conv(features + 4 * growth, features)

    def forward(self, x):
        known = x
        for i in range(1, 5):
            known = torch.cat((known, leaky(getattr(self, f"conv{i}")(known))), 1)
        return self.conv5(known) * 0.2 + x


class RRDB(nn.Module):
    def __init__(self, features, growth):
        super().__init__()
        for i in range(1, 4):
            setattr(self, f"rdb{i}", ResidualDenseBlock(features, growth))

    def forward(self, x):
        return self.rdb3(self.rdb2(self.rdb1(x))) * 0.2 + x


class RRDBNet(nn.Module):
    def __init__(self, scale=4, features=64, blocks=23, growth=32):
        super().__init__()
        self.unshuffle = {1: 4, 2: 2, 4: 1}[scale]
        self.conv_first = conv(3 * self.unshuffle**2, features)
        self.body = nn.Sequential(*(RRDB(features, growth) for _ in range(blocks)))
        self.conv_body = conv(features, features)
        self.conv_up1 = conv(features, features)
        self.conv_up2 = conv(features, features)
        self.conv_hr = conv(features, features)
        self.conv_last = conv(features, 3)

    def forward(self, x):
        if self.unshuffle > 1:
            x = F.pixel_unshuffle(x, self.unshuffle)
        x = self.conv_first(x)
        x = x + self.conv_body(self.body(x))
        for up in (self.conv_up1, self.conv_up2):
            x = leaky(up(F.interpolate(x, scale_factor=2, mode="nearest")))
        return self.conv_last(leaky(self.conv_hr(x)))
