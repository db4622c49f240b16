namespace McpAuth.Cedar.Data;

/// <summary>The types of actions: <c>Action</c>, in any namespace.</summary>
internal static class ActionTypes
{
    private const string Last = "Action";

    public static bool Contain(string type) =>
        type.EndsWith(Last, StringComparison.Ordinal) && (type.Length == Last.Length || type.AsSpan(0, type.Length - Last.Length).EndsWith("::", StringComparison.Ordinal));
}
