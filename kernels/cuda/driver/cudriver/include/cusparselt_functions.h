/* Every function of cuSPARSELt that is called, as SPARSE_FUNCTION(name, (parameter types)); the includer defines SPARSE_FUNCTION, and SPARSE_SINCE_0_8 for those that are not in release 0.7. */
SPARSE_FUNCTION(cusparseLtInit, (cusparseLtHandle_t *))
SPARSE_FUNCTION(cusparseLtDestroy, (const cusparseLtHandle_t *))
SPARSE_FUNCTION(cusparseLtGetProperty, (libraryPropertyType, int *))
SPARSE_FUNCTION(cusparseLtDenseDescriptorInit, (const cusparseLtHandle_t *, cusparseLtMatDescriptor_t *, int64_t, int64_t, int64_t, uint32_t, cudaDataType, cusparseOrder_t))
SPARSE_FUNCTION(cusparseLtStructuredDescriptorInit, (const cusparseLtHandle_t *, cusparseLtMatDescriptor_t *, int64_t, int64_t, int64_t, uint32_t, cudaDataType,
	cusparseOrder_t, cusparseLtSparsity_t))
SPARSE_FUNCTION(cusparseLtMatDescriptorDestroy, (const cusparseLtMatDescriptor_t *))
SPARSE_FUNCTION(cusparseLtMatmulDescriptorInit, (const cusparseLtHandle_t *, cusparseLtMatmulDescriptor_t *, cusparseOperation_t, cusparseOperation_t,
	const cusparseLtMatDescriptor_t *, const cusparseLtMatDescriptor_t *, const cusparseLtMatDescriptor_t *, const cusparseLtMatDescriptor_t *, cusparseComputeType))
SPARSE_FUNCTION(cusparseLtMatmulDescSetAttribute, (const cusparseLtHandle_t *, cusparseLtMatmulDescriptor_t *, cusparseLtMatmulDescAttribute_t, const void *, size_t))
SPARSE_FUNCTION(cusparseLtMatmulAlgSelectionInit, (const cusparseLtHandle_t *, cusparseLtMatmulAlgSelection_t *, const cusparseLtMatmulDescriptor_t *, cusparseLtMatmulAlg_t))
SPARSE_SINCE_0_8(cusparseLtMatmulAlgSelectionDestroy, (const cusparseLtMatmulAlgSelection_t *))
SPARSE_FUNCTION(cusparseLtMatmulPlanInit, (const cusparseLtHandle_t *, cusparseLtMatmulPlan_t *, const cusparseLtMatmulDescriptor_t *, const cusparseLtMatmulAlgSelection_t *))
SPARSE_FUNCTION(cusparseLtMatmulPlanDestroy, (const cusparseLtMatmulPlan_t *))
SPARSE_FUNCTION(cusparseLtMatmulGetWorkspace, (const cusparseLtHandle_t *, const cusparseLtMatmulPlan_t *, size_t *))
SPARSE_FUNCTION(cusparseLtSpMMACompressedSize2, (const cusparseLtHandle_t *, const cusparseLtMatDescriptor_t *, size_t *, size_t *))
SPARSE_FUNCTION(cusparseLtSpMMACompress2, (const cusparseLtHandle_t *, const cusparseLtMatDescriptor_t *, int, cusparseOperation_t, const void *, void *, void *, cudaStream_t))
SPARSE_FUNCTION(cusparseLtMatmul, (const cusparseLtHandle_t *, const cusparseLtMatmulPlan_t *, const void *, const void *, const void *, const void *, const void *, void *,
	void *, cudaStream_t *, int32_t))
