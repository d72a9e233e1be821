package drivertest

import "ofpeak/kernels/cuda/driver"

// Products gives the library the streams behind the taps.
func (c *tapContext) Products() (driver.Products, error) {
	p, err := c.Context.Products()
	if err != nil {
		return nil, err
	}
	c.tap.count("library of products", 1, nil)
	return &tapProducts{p, c.tap}, nil
}

type tapProducts struct {
	driver.Products
	tap *Tap
}

func (p *tapProducts) Multiply(s driver.Stream, q driver.Product) error {
	return p.Products.Multiply(s.(*tapStream).Stream, q)
}

func (p *tapProducts) Close() error {
	err := p.Products.Close()
	p.tap.count("library of products", -1, err)
	return err
}

// SparseProducts does likewise.
func (c *tapContext) SparseProducts() (driver.SparseProducts, error) {
	p, err := c.Context.SparseProducts()
	if err != nil {
		return nil, err
	}
	c.tap.count("library of sparse products", 1, nil)
	return &tapSparseProducts{p, c.tap}, nil
}

type tapSparseProducts struct {
	driver.SparseProducts
	tap *Tap
}

func (p *tapSparseProducts) Compress(s driver.Stream, q driver.SparseProduct, dense driver.Ptr) error {
	return p.SparseProducts.Compress(s.(*tapStream).Stream, q, dense)
}

func (p *tapSparseProducts) Multiply(s driver.Stream, q driver.SparseProduct) error {
	return p.SparseProducts.Multiply(s.(*tapStream).Stream, q)
}

func (p *tapSparseProducts) Close() error {
	err := p.SparseProducts.Close()
	p.tap.count("library of sparse products", -1, err)
	return err
}
