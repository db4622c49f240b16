using McpAuthServer.People;

namespace McpAuthServer.Tests.Harness;

/// <summary>Somebody registered who can sign in.</summary>
public sealed record TestPerson(string Id, string Email)
{
    public const string FirstPassword = "correct horse battery staple";

    private static readonly Lazy<string> hash = new(() => Passwords.Hash(FirstPassword));

    /// <summary>Everybody's, made once: hashing costs a tenth of a second.</summary>
    public static string Hash => hash.Value;

    public string Password { get; init; } = FirstPassword;
}
