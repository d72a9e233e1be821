package kernels

// Op names an operator (forward and backward together) for support and variant queries.
type Op string

const (
	OpEmbedding Op = "embedding"
	OpLayerNorm Op = "layernorm"
	OpLinear    Op = "linear"
	OpAttention Op = "attention"
	OpLoss      Op = "loss"
	OpAdamW     Op = "adamw"
	OpExperts   Op = "experts" // the operators of ExpertOps
)

// OpNames lists every operator that has variants.
var OpNames = []Op{OpEmbedding, OpLayerNorm, OpLinear, OpAttention, OpLoss, OpAdamW, OpExperts}

// Act is an activation function fused into a product.
type Act uint8

const (
	NoAct Act = iota
	// GELU in its tanh form, 0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))) (Hendrycks & Gimpel, arXiv:1606.08415, section 2).
	GELU
)

// Epilogue is what LinearForward and LinearBackwardInput do to each output element before they store it.
type Epilogue struct {
	// Bias (OC) is added. Forward only.
	Bias Tensor
	// Act is applied after the bias. Forward stores its input in Aux; backward multiplies by its derivative at Aux.
	Act Act
	Aux Tensor // shape of out (forward) or of dx (backward)
	// Residual, of out's shape, is added last; out may be the same memory. Forward only.
	Residual Tensor
}

// AdamWArgs are the operands of one AdamW step over n parameters (Loshchilov & Hutter, "Decoupled Weight Decay Regularization",
// arXiv:1711.05101, algorithm 2; bias-corrected as in Kingma & Ba, arXiv:1412.6980, algorithm 1):
//
//	g = Grad/State[StateScale]
//	M = Beta1·M + (1-Beta1)·g
//	V = Beta2·V + (1-Beta2)·g²
//	Master -= LR·(M/(1-Beta1^t)/(√(V/(1-Beta2^t)) + Eps) + WeightDecay·Master)
//	Param = Master, rounded to Param's type
//
// Nothing changes where State[StateFound] > 0. t is State[StateSteps]+1; the caller advances it with UpdateScale.
type AdamWArgs struct {
	Param  Tensor // (n), the compute type; absent where Master is also what computes
	Master Tensor // (n)
	Grad   Tensor // (n)
	M, V   Tensor // (n)
	// State is the loss-scale state, see UpdateScale.
	State                              Tensor
	LR, Beta1, Beta2, Eps, WeightDecay float64
}

// Loss-scale state: a tensor of the Stats type with these elements, so that a step never waits for the host.
const (
	StateScale   = iota // factor on the loss gradient; 1 without scaling
	StateGood           // consecutive steps without overflow
	StateFound          // above 0: this step's gradients hold an Inf or NaN
	StateSteps          // optimizer steps applied
	StateSkipped        // optimizer steps skipped
	StateLen
)

// Dynamic loss scaling (Micikevicius et al., arXiv:1710.03740, section 3.2): halve on overflow, double after ScaleWindow good steps.
const (
	InitialScale = 1 << 16
	ScaleWindow  = 200
	MaxScale     = 1 << 24
)

// Ops are the fused operators of a Transformer block. Outputs come first. Calls enqueue on a Stream and return at once; a wrong
// shape or type panics at the call, a failure of the device is kept and reported by Sync. Operands must stay alive until then.
// Outputs must not overlap inputs except where said.
type Ops interface {
	ExpertOps
	// EmbeddingForward: out[b·T+t,:] = wte[ids[b,t],:] + wpe[t,:]. out (N,C), ids int32 (B,T), wte (V,C), wpe (T,C).
	EmbeddingForward(out, ids, wte, wpe Tensor)
	// EmbeddingBackward: dwte[ids[b,t],:] += dout[b·T+t,:], dwpe[t,:] += dout[b·T+t,:]; the sum's order is fixed.
	EmbeddingBackward(dwte, dwpe, dout, ids Tensor)

	// LayerNormForward normalizes each row of x (N,C) (Ba et al., arXiv:1607.06450, equation 4): out = (x-mean)·rstd·gain + bias,
	// rstd = 1/√(var+1e-5), var with divisor C. mean, rstd (N) of the Stats type are kept for the backward pass.
	LayerNormForward(out, mean, rstd, x, gain, bias Tensor)
	// LayerNormBackward: dx = residual + gradient through the norm, dgain += Σ dout·x̂, dbias += Σ dout. dx, dout, x, residual
	// (N,C); residual may be absent and may be dx itself.
	LayerNormBackward(dx, dgain, dbias, dout, x, mean, rstd, gain, residual Tensor)

	// LinearForward: out (N,OC) = epilogue(x (N,C)·Wᵀ).
	LinearForward(out, x Tensor, w Weight, e Epilogue)
	// LinearBackwardInput: dx (N,C) = epilogue(dout (N,OC)·W).
	LinearBackwardInput(dx, dout Tensor, w Weight, e Epilogue)
	// LinearBackwardWeight: dw (OC,C) += doutᵀ·x at the stored positions; dbias (OC) += Σ_n dout, unless dbias is absent.
	LinearBackwardWeight(dw Weight, dbias, dout, x Tensor)

	// AttentionForward is causal multi-head attention (Vaswani et al., arXiv:1706.03762, section 3.2) on qkv (B,T,3,NH,HS): out
	// (B,T,NH,HS) = softmax(q·kᵀ/√HS)·v; lse (B,NH,T), of the Stats type, is log Σ exp of the scaled scores, kept for the backward
	// pass (Dao, "FlashAttention-2", arXiv:2307.08691, section 3.1).
	AttentionForward(out, lse, qkv Tensor)
	// AttentionBackward: dqkv (B,T,3,NH,HS) from dout and out (B,T,NH,HS), lse (B,NH,T), qkv. scratch (B,NH,T) of the Stats type
	// receives Σ dout·out of each row (arXiv:2307.08691, section 3.2).
	AttentionBackward(dqkv, scratch, dout, out, lse, qkv Tensor)

	// AttentionExtendForward lets every query of qkv (B,T,3,NH,HS) attend to all of kv (B,U,2,NH,HS), keys and values of U further positions, too.
	// out (B,T,NH,HS) and lse (B,NH,T) hold the attention to what came before, and become that to both (Dao et al., "FlashAttention", arXiv:2205.14135,
	// section 3.1, the softmax in parts; Liu et al., "Ring Attention", arXiv:2310.01889, section 3):
	//
	//	lse' = log(exp(lse) + Σ_u exp(q·k_u/√HS))
	//	out = exp(lse-lse')·out + Σ_u exp(q·k_u/√HS-lse')·v_u
	AttentionExtendForward(out, lse, qkv, kv Tensor)
	// AttentionExtendBackward adds what kv (B,U,2,NH,HS) contributed: the queries of dqkv (B,T,3,NH,HS) and all of dkv (B,U,2,NH,HS) +=. lse (B,NH,T) is
	// that of the whole attention, after its last AttentionExtendForward; scratch (B,NH,T) is what AttentionBackward left there, for the whole out.
	AttentionExtendBackward(dqkv, dkv, scratch, dout, lse, qkv, kv Tensor)

	// Add: out = x + bias + residual, each row; bias (C) and residual may be absent, out may be x or residual. x (N,C).
	Add(out, x, bias, residual Tensor)

	// MSE: loss[0] += Σ(x-target)²/n; dx = 2·(x-target)/n·state[StateScale]. n is the element count of the whole batch, over all
	// ranks and microbatches. loss has the Stats type; dx may be absent.
	MSE(loss, dx, x, target Tensor, n int, state Tensor)
	// CrossEntropy: loss[0] += Σ -log softmax(logits)[targets]/n; dlogits = (softmax(logits) - onehot)/n·state[StateScale]. logits (N,V),
	// targets int32 (N); n counts the tokens of the whole batch. dlogits may be logits, or absent.
	CrossEntropy(loss, dlogits, logits, targets Tensor, n int, state Tensor)

	// AdamW updates parameters; see AdamWArgs.
	AdamW(a AdamWArgs)
	// FindNonFinite sets state[StateFound] to 1 if x holds an Inf or a NaN.
	FindNonFinite(state, x Tensor)
	// UpdateScale ends a step: it counts the step as applied or, where state[StateFound] > 0, as skipped; adapts the scale if dynamic; and
	// clears StateFound.
	UpdateScale(state Tensor, dynamic bool)

	// Encode stores the dense matrix (OC,C), of the Stats type, in w's layout: it chooses Meta by magnitude (ties: the lower index)
	// and fills Values, rounded to their type, Meta and Scale.
	Encode(w Weight, dense Tensor)
	// Decode is the dense matrix (OC,C), of any float type, that w stands for: zeros where nothing is stored.
	Decode(dense Tensor, w Weight)

	// Cast: dst = src, rounded to nearest even into dst's type; into 8 bits saturating. Of 8 bits there are E4M3 and E5M2.
	Cast(dst, src Tensor)
	// Fill sets every element to v.
	Fill(dst Tensor, v float64)
	// Copy copies elements of the same type.
	Copy(dst, src Tensor)
	// CopyColumns copies n columns of src (N,C), from column from on, over those of dst (N,D) from column to on. Both are of one float type.
	CopyColumns(dst, src Tensor, to, from, n int)
}
