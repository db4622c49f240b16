namespace McpAuth.Cedar.Values;

/// <summary>The types of Cedar values; <see cref="None"/> is no value (where an evaluation failed, or an attribute is absent).</summary>
public enum ValueKind
{
    None,
    Bool,
    Long,
    String,
    Entity,
    Set,
    Record,
    Decimal,
    IpAddress,
    Datetime,
    Duration,
}
