"""BiSeNet, the face parser, with the reference's names, for inference."""

import torch
import torch.nn.functional as F
from torch import nn


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(self, inputs, outputs, size=3, stride=1, padding=1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class Block(nn.Module):
    """A block of ResNet-18."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if inputs != outputs or stride != 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                nn.BatchNorm2d(outputs),
            )

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu((x if self.downsample is None else self.downsample(x)) + y)


class Trunk(nn.Module):
    """ResNet-18; gives the states at 1/8, 1/16 and 1/32."""

    def __init__(self, width):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for level in range(4):
            outputs = width * 2**level
            inputs, stride = (outputs // 2, 2) if level else (width, 1)
            layer = nn.Sequential(
                Block(inputs, outputs, stride), Block(outputs, outputs, 1)
            )
            self.add_module(f"layer{level + 1}", layer)

    def forward(self, x):
        x = self.layer1(self.maxpool(F.relu(self.bn1(self.conv1(x)))))
        eighth = self.layer2(x)
        sixteenth = self.layer3(eighth)
        return eighth, sixteenth, self.layer4(sixteenth)


class Refinement(nn.Module):
    """States weighted by channel."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = ConvNorm(inputs, outputs)
        self.conv_atten = nn.Conv2d(outputs, outputs, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(outputs)

    def forward(self, x):
        x = self.conv(x)
        weight = self.bn_atten(self.conv_atten(x.mean((2, 3), keepdim=True)))
        return x * torch.sigmoid(weight)


class ContextPath(nn.Module):
    def __init__(self, width):
        super().__init__()
        half = 2 * width
        self.resnet = Trunk(width)
        self.arm16 = Refinement(4 * width, half)
        self.arm32 = Refinement(8 * width, half)
        self.conv_head32 = ConvNorm(half, half)
        self.conv_head16 = ConvNorm(half, half)
        self.conv_avg = ConvNorm(8 * width, half, 1, 1, 0)

    def forward(self, x):
        eighth, sixteenth, last = self.resnet(x)
        mean = self.conv_avg(last.mean((2, 3), keepdim=True))
        up32 = enlarged(self.arm32(last) + enlarged(mean, last), sixteenth)
        up32 = self.conv_head32(up32)
        up16 = enlarged(self.arm16(sixteenth) + up32, eighth)
        return eighth, self.conv_head16(up16)


class Fusion(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.convblk = ConvNorm(4 * width, 4 * width, 1, 1, 0)
        self.conv1 = nn.Conv2d(4 * width, width, 1, bias=False)
        self.conv2 = nn.Conv2d(width, 4 * width, 1, bias=False)

    def forward(self, a, b):
        x = self.convblk(torch.cat([a, b], 1))
        weight = x.mean((2, 3), keepdim=True)
        return x + x * torch.sigmoid(self.conv2(F.relu(self.conv1(weight))))


class Head(nn.Module):
    def __init__(self, inputs, middle, classes):
        super().__init__()
        self.conv = ConvNorm(inputs, middle)
        self.conv_out = nn.Conv2d(middle, classes, 1, bias=False)

    def forward(self, x):
        return self.conv_out(self.conv(x))


class BiSeNet(nn.Module):
    """(B, 3, H, W) to the scores (B, classes, H, W)."""

    def __init__(self, classes, width):
        super().__init__()
        self.cp = ContextPath(width)
        self.ffm = Fusion(width)
        self.conv_out = Head(4 * width, 4 * width, classes)

    def forward(self, x):
        scores = self.conv_out(self.ffm(*self.cp(x)))
        return F.interpolate(scores, x.shape[2:], mode="bilinear", align_corners=True)


def enlarged(x, like):
    return F.interpolate(x, like.shape[2:], mode="nearest")
