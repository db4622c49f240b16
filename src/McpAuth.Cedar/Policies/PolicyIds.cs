namespace McpAuth.Cedar.Policies;

/// <summary>How the policies of a text are named.</summary>
public enum PolicyIds
{
    /// <summary><c>policy0</c>, <c>policy1</c>, … in the order written.</summary>
    Numbered,

    /// <summary>The value of the annotation <c>@id</c> where there is one, else the number.</summary>
    FromAnnotation,
}
