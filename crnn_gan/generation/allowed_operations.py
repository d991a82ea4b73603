"""Operations that the graph of an exported model may hold; the audit refuses every other one.

A new family whose graph needs one more adds it here, in a line that a reviewer sees. Before it
does: read in TensorFlow's `api_def` what the operation may touch. None that reads or writes files
or devices, calls Python or a plugin, opens a connection, prints, keeps state between calls or ends
the process belongs here, whatever needs it.
"""

from __future__ import annotations

# What exports of this project's families hold: `tests/test_job_scripts.py` exports every one.
_NUMBERS = """
    Abs AddV2 All Any ArgMin BatchMatMulV2 BiasAdd Cast Conv2D Cos Cumsum Equal Erf Exp
    Expm1 FloorDiv FloorMod Greater GreaterEqual IsFinite IsNan LeakyRelu Less LessEqual
    Log Log1p LogicalAnd LogicalNot LogicalOr MatMul Max Maximum Min Minimum Mul Neg Pow Prod
    RealDiv Relu RightShift Round Rsqrt Select SelectV2 Sigmoid Sin Softmax Softplus Sub Sum Tanh
    TopKV2 UnsortedSegmentMin UnsortedSegmentSum UpperBound
"""
_SHAPES = """
    BroadcastTo ConcatV2 EnsureShape ExpandDims Fill GatherNd GatherV2 OneHot OnesLike Pack Pad
    PadV2 Range Reshape Shape Size Split Squeeze StridedSlice TensorScatterUpdate Tile Transpose
    Unpack Where ZerosLike
"""
# Pure functions of their key and counter: no generator keeps a state.
_RANDOM_NUMBERS = """
    StatelessRandomGetKeyCounter StatelessRandomNormalV2 StatelessRandomUniformV2
"""
_TEXT_AND_FILES_IN_MEMORY = """
    AsString EncodeWav ReduceJoin SerializeTensor StaticRegexFullMatch StringJoin Substr
    UnicodeTranscode
"""
_LOOPS_AND_CALLS = """
    Assert Const Identity NoOp Placeholder PlaceholderWithDefault ReadVariableOp
    StatefulPartitionedCall StatelessIf StatelessWhile TensorListConcatV2 TensorListFromTensor
    TensorListGetItem TensorListReserve TensorListSetItem TensorListStack VarHandleOp While
"""
# Pure arithmetic, and calls without effects, that no export holds yet and families are made of.
_REVIEWED = """
    AddN ArgMax AvgPool BatchMatMulV3 BitwiseAnd BitwiseOr BitwiseXor Ceil ClipByValue
    Conv2DBackpropInput DepthwiseConv2dNative DivNoNan Einsum Elu Floor FusedBatchNormV3 If
    InvertPermutation LeftShift LogSoftmax MatrixBandPart MaxPool Mean NotEqual PartitionedCall
    ReverseV2 ScatterNd Selu Sign Slice Softsign SplitV Sqrt Square SquaredDifference
    StatelessRandomUniformFullIntV2 TensorScatterAdd TensorScatterMax Xdivy Xlogy
"""

REVIEWED = frozenset(_REVIEWED.split())
ALLOWED = REVIEWED | frozenset(
    " ".join(
        (_NUMBERS, _SHAPES, _RANDOM_NUMBERS, _TEXT_AND_FILES_IN_MEMORY, _LOOPS_AND_CALLS)
    ).split()
)
