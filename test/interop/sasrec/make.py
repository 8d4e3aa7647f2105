"""
SASRec in PyTorch as RecBole and as SASRec.pytorch (pmixer) have it, with their names of parameters: random weights as
safetensors, and the scores of some histories, for test/interop/sasrec.node.test.ts.

    apt-get install python3-torch libopenblas0-pthread
    python3 test/interop/sasrec/make.py
"""
import json
import math
import os
import struct

import torch
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))
ITEMS, D, F, BLOCKS, WINDOW = 30, 16, 24, 2, 6


def save(model, name):
    """The safetensors format: the length of the header, the header in JSON, the values end to end."""
    header, parts, offset = {}, [], 0
    for key, tensor in model.state_dict().items():
        data = tensor.contiguous().float()
        values = struct.pack(f'<{data.numel()}f', *data.flatten().tolist())
        header[key] = {'dtype': 'F32', 'shape': list(data.shape), 'data_offsets': [offset, offset + len(values)]}
        parts.append(values)
        offset += len(values)
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    with open(os.path.join(HERE, name), 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text + b''.join(parts))


class RecboleAttention(nn.Module):
    def __init__(self, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = nn.Linear(D, D), nn.Linear(D, D), nn.Linear(D, D)
        self.dense = nn.Linear(D, D)
        self.LayerNorm = nn.LayerNorm(D, eps=1e-12)

    def forward(self, x, mask):
        split = lambda y: y.view(y.shape[0], y.shape[1], self.heads, -1).transpose(1, 2)
        q, k, v = split(self.query(x)), split(self.key(x)), split(self.value(x))
        weights = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(D / self.heads) + mask, dim=-1)
        return self.LayerNorm(self.dense((weights @ v).transpose(1, 2).reshape(x.shape)) + x)


class RecboleFeedForward(nn.Module):
    def __init__(self, activation):
        super().__init__()
        self.activation = activation
        self.dense_1, self.dense_2 = nn.Linear(D, F), nn.Linear(F, D)
        self.LayerNorm = nn.LayerNorm(D, eps=1e-12)

    def forward(self, x):
        return self.LayerNorm(self.dense_2(self.activation(self.dense_1(x))) + x)


class RecboleLayer(nn.Module):
    def __init__(self, heads, activation):
        super().__init__()
        self.multi_head_attention = RecboleAttention(heads)
        self.feed_forward = RecboleFeedForward(activation)


class RecboleEncoder(nn.Module):
    def __init__(self, heads, activation):
        super().__init__()
        self.layer = nn.ModuleList(RecboleLayer(heads, activation) for _ in range(BLOCKS))


class Recbole(nn.Module):
    """x = LN(E + P), blocks with norms after each part; histories begin at position 0, padded at their ends."""

    def __init__(self, heads, activation):
        super().__init__()
        self.item_embedding = nn.Embedding(ITEMS + 1, D, padding_idx=0)
        self.position_embedding = nn.Embedding(WINDOW, D)
        self.trm_encoder = RecboleEncoder(heads, activation)
        self.LayerNorm = nn.LayerNorm(D, eps=1e-12)

    def scores(self, history):
        history = history[-WINDOW:]
        row = torch.tensor([history + [0] * (WINDOW - len(history))])
        x = self.LayerNorm(self.item_embedding(row) + self.position_embedding(torch.arange(WINDOW)))
        seen = torch.tril((row != 0)[:, None, None, :].expand(-1, -1, WINDOW, -1))
        mask = torch.where(seen, 0.0, -10000.0)
        for layer in self.trm_encoder.layer:
            x = layer.feed_forward(layer.multi_head_attention(x, mask))
        return self.item_embedding.weight[1:] @ x[0, len(history) - 1]


class PointWise(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(D, D, 1), nn.Conv1d(D, D, 1)

    def forward(self, x):
        return self.conv2(torch.relu(self.conv1(x.transpose(1, 2)))).transpose(1, 2)


class Pmixer(nn.Module):
    """Queries alone are normalized; positions count from 1, in windows that histories fill."""

    def __init__(self):
        super().__init__()
        self.item_emb = nn.Embedding(ITEMS + 1, D, padding_idx=0)
        self.pos_emb = nn.Embedding(WINDOW + 1, D, padding_idx=0)
        norms = lambda: nn.ModuleList(nn.LayerNorm(D, eps=1e-8) for _ in range(BLOCKS))
        self.attention_layernorms, self.forward_layernorms = norms(), norms()
        self.attention_layers = nn.ModuleList(nn.MultiheadAttention(D, 1) for _ in range(BLOCKS))
        self.forward_layers = nn.ModuleList(PointWise() for _ in range(BLOCKS))
        self.last_layernorm = nn.LayerNorm(D, eps=1e-8)

    def scores(self, history):
        row = torch.tensor([history[-WINDOW:]])
        x = self.item_emb(row) * math.sqrt(D) + self.pos_emb(torch.arange(1, WINDOW + 1))
        later = ~torch.tril(torch.ones(WINDOW, WINDOW, dtype=torch.bool))
        for i in range(BLOCKS):
            keys = x.transpose(0, 1)
            query = self.attention_layernorms[i](keys)
            x = (query + self.attention_layers[i](query, keys, keys, attn_mask=later)[0]).transpose(0, 1)
            x = self.forward_layernorms[i](x)
            x = x + self.forward_layers[i](x)
        return self.item_emb.weight[1:] @ self.last_layernorm(x)[0, -1]


def make(name, model, histories):
    model.eval()
    with torch.no_grad():
        for parameter in model.parameters():
            # Embeddings as small as they are at first, where the epsilon of the norms matters.
            parameter.add_(0.2 * torch.randn_like(parameter))
        for key, parameter in model.named_parameters():
            if 'emb' in key:
                parameter.mul_(0.02)
                if 'position' not in key:
                    parameter[0] = 0
        save(model, f'{name}.safetensors')
        return {'histories': histories, 'scores': [model.scores(history).tolist() for history in histories]}


torch.manual_seed(1)
full = [[1, 2, 3, 4, 5, 6], [30, 7, 7, 12, 1, 9], [3, 14, 15, 9, 26, 5, 3, 11]]
golden = {
    'recbole': make('recbole', Recbole(2, nn.functional.gelu), [[4], [30, 1, 30], *full]),
    'recbole-relu': make('recbole-relu', Recbole(1, torch.relu), [[4], [30, 1, 30], *full]),
    'pmixer': make('pmixer', Pmixer(), full),
}
with open(os.path.join(HERE, 'scores.json'), 'w') as file:
    json.dump(golden, file)
    file.write('\n')
