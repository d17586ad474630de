curl -s --noproxy '*' 'http://127.0.0.1:3000/v1/house-price' -H 'Content-Type: application/json' -d '{"records": [
  {"living_area": 1656, "lot_area": 9600, "basement_area": 1080, "bedrooms": 3, "full_baths": 2, "half_baths": 1,
   "fireplaces": 1, "garage_cars": 2, "year_built": 1976, "year_remodelled": 1995,
   "dwelling": "detached", "condition": "average", "neighborhood": "north_ames"}]}'
