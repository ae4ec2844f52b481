/* Codes and weights of the 8-bit cache (attend8.h) as products of bytes take them. */
typedef ivec kv8_val, kv8_by;

FORCE kv8_val kv8_value(const uint8_t *p)
{
    return iv_transpose(iv_load(p));
}

FORCE kv8_by kv8_weight(const uint8_t *p)
{
    return iv_four((const int8_t *)p);
}
