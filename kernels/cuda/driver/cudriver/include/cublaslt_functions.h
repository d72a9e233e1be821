/* Every function of cuBLASLt that is called, as LT_FUNCTION(name, (parameter types)); the includer defines LT_FUNCTION. */
LT_FUNCTION(cublasLtCreate, (cublasLtHandle_t *))
LT_FUNCTION(cublasLtDestroy, (cublasLtHandle_t))
LT_FUNCTION(cublasLtGetProperty, (libraryPropertyType, int *))
LT_FUNCTION(cublasLtMatmulDescCreate, (cublasLtMatmulDesc_t *, cublasComputeType_t, cudaDataType_t))
LT_FUNCTION(cublasLtMatmulDescDestroy, (cublasLtMatmulDesc_t))
LT_FUNCTION(cublasLtMatmulDescSetAttribute, (cublasLtMatmulDesc_t, cublasLtMatmulDescAttributes_t, const void *, size_t))
LT_FUNCTION(cublasLtMatrixLayoutCreate, (cublasLtMatrixLayout_t *, cudaDataType_t, uint64_t, uint64_t, int64_t))
LT_FUNCTION(cublasLtMatrixLayoutDestroy, (cublasLtMatrixLayout_t))
LT_FUNCTION(cublasLtMatmulPreferenceCreate, (cublasLtMatmulPreference_t *))
LT_FUNCTION(cublasLtMatmulPreferenceDestroy, (cublasLtMatmulPreference_t))
LT_FUNCTION(cublasLtMatmulPreferenceSetAttribute, (cublasLtMatmulPreference_t, cublasLtMatmulPreferenceAttributes_t, const void *, size_t))
LT_FUNCTION(cublasLtMatmulAlgoGetHeuristic, (cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
	cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatmulPreference_t, int, cublasLtMatmulHeuristicResult_t *, int *))
LT_FUNCTION(cublasLtMatmul, (cublasLtHandle_t, cublasLtMatmulDesc_t, const void *, const void *, cublasLtMatrixLayout_t, const void *,
	cublasLtMatrixLayout_t, const void *, const void *, cublasLtMatrixLayout_t, void *, cublasLtMatrixLayout_t, const cublasLtMatmulAlgo_t *,
	void *, size_t, cudaStream_t))
