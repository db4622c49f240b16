namespace Architecture.Tests.Code;

/// <summary>One type uses another, anywhere in its metadata or its methods' instructions.</summary>
/// <param name="From">Full name of the using type; of the outermost one when it is nested, as closures and state machines are.</param>
/// <param name="To">Full name of the used one, likewise.</param>
internal readonly record struct TypeUse(string From, string To);
