namespace McpAuth.Cedar.Values;

/// <summary>Values as expressions of the policy language.</summary>
internal static class ValueText
{
    public static string Of(Value value) => value.Kind.ToString();
}
